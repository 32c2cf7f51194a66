"""Why a launch failed: causes by the lines that engines and hosts print."""
