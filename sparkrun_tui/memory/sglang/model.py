"""SGLang in the estimator."""

from __future__ import annotations

from sparkrun_tui.memory.model import EngineModel
from sparkrun_tui.memory.sglang.estimate import estimate_sglang
from sparkrun_tui.models.config.families import BLOCK_SPARSE, DORY, SPECIAL, STEP5

MODEL = EngineModel(estimate_sglang, options="sglang", kv_is_pool=True, special=SPECIAL - STEP5 - BLOCK_SPARSE - {DORY})
