"""`python3 -m sglang.launch_server` of the stand-in."""

from engine_standin.sglang_server import main

if __name__ == "__main__":
    main()
