"""Makes Superset's own database ready: tables, roles, the administrator, the dashboards.

Runs in Superset's environment, called by serve.py: the first argument is the bundle, as a zip; the user and
the password are in SUPERSET_ADMIN and SUPERSET_ADMIN_PASSWORD. Everything in it may be done again.
"""

import os
import sys
import zipfile

import yaml
from flask_migrate import upgrade
from superset.app import create_app


def prepare(bundle: str) -> None:
    """Do all of it in one process, because Superset takes long to start."""
    from superset import appbuilder, security_manager
    from superset.commands.importers.v1.assets import ImportAssetsCommand
    from superset.commands.importers.v1.utils import get_contents_from_bundle
    from superset.utils.core import override_user

    upgrade()
    appbuilder.add_permissions(update_perms=True)
    security_manager.sync_role_definitions()
    name = os.environ["SUPERSET_ADMIN"]
    administrator = security_manager.find_user(name) or security_manager.add_user(
        username=name,
        first_name="Manyfaces",
        last_name="Administrator",
        email=f"{name}@localhost",
        role=security_manager.find_role("Admin"),
        password=os.environ["SUPERSET_ADMIN_PASSWORD"],
    )
    if not administrator:
        sys.exit("superset: the administrator could not be created")
    with zipfile.ZipFile(bundle) as archive:
        contents = get_contents_from_bundle(archive)
    # Of a dashboard, what is there already would stay: of assets, it is overwritten.
    contents["metadata.yaml"] = yaml.safe_dump({"version": "1.0.0", "type": "assets"})
    with override_user(administrator):
        ImportAssetsCommand(contents).run()


if __name__ == "__main__":
    with create_app().app_context():
        prepare(sys.argv[1])
