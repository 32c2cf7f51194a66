"""`python3 -m vllm.entrypoints.openai.api_server --model MODEL`, the older spelling of `vllm serve MODEL`."""

import sys

from engine_standin.vllm_cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "serve")
    main()
