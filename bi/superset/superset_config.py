"""Settings of a Superset that serves this machine only; everything else is Superset's own default.

serve.py names this file in SUPERSET_CONFIG_PATH and the folder for all that is written in SUPERSET_HOME.
"""

import os
from pathlib import Path

_HOME = Path(os.environ["SUPERSET_HOME"])

SECRET_KEY = (_HOME / "secret_key").read_text()
SQLALCHEMY_DATABASE_URI = f"sqlite:///{_HOME / 'superset.db'}"

# A publish swaps the file underneath: what was asked before it says nothing about what is there now.
CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}

# The defaults allow maps, fonts and a counter of visits from elsewhere. Nothing here needs them, and so no
# page asks any other machine for anything.
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'"],
        "script-src": ["'self'", "'strict-dynamic'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    # Plain HTTP, which never leaves the machine.
    "force_https": False,
    "session_cookie_secure": False,
}
