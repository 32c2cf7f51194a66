"""SGLang, as far as `python3 -m sglang.launch_server` goes."""
