"""Small files of weights that are what their own headers say."""

from __future__ import annotations

import json
import struct


def safetensors(size: int) -> bytes:
    """A safetensors file of about `size` bytes with two tensors."""
    half = size // 2
    tensors = {
        "a.weight": {"dtype": "U8", "shape": [half], "data_offsets": [0, half]},
        "b.weight": {"dtype": "U8", "shape": [half], "data_offsets": [half, 2 * half]},
    }
    header = json.dumps({"__metadata__": {"format": "pt"}, **tensors}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(2 * half)


def gguf(elements: int) -> bytes:
    """A GGUF file with one key and one tensor of q8_0, without gaps; `elements` is a multiple of 32."""
    name, architecture, tensor = b"general.architecture", b"llama", b"output.weight"
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 1)
    head += struct.pack("<Q", len(name)) + name + struct.pack("<IQ", 8, len(architecture)) + architecture
    head += struct.pack("<Q", len(tensor)) + tensor + struct.pack("<IQIQ", 1, elements, 8, 0)
    return head + bytes(elements // 32 * 34)
