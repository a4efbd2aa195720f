"""Follows `deploy/vm/README.md` to the letter on a new Debian that is booted for it, with real units under systemd.

``python -m tests.deploy.follow [--suite bookworm] [--port 8080] [--keep]``, as root, with debootstrap and
systemd-nspawn. It takes some minutes, shares the network of this machine (ports 80, 443 and 8080 must be free) and
removes what it made.

At the end it restarts the receiver three times while deliveries come, and gives it a new certificate while it serves
HTTPS by itself: every delivery must have been taken.

What differs from the page, because no certificate can be had for `logs.example.com`: that name is this machine's, and
Caddy signs with an authority of its own, which `curl` and `drainlake simulate` are told to trust.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.deploy.pages import DEPLOY, ROOT, commands

PAGE = DEPLOY / "vm" / "README.md"
MINUTES_MAX = 20
SOURCE = "usr/local/src/drainlake"
PACKAGES = "systemd,systemd-sysv,ca-certificates,dbus"

UNIT = """
[Unit]
After=network-online.target
[Service]
Type=oneshot
ExecStart=/bin/bash /follow.sh
ExecStopPost=/bin/systemctl --force poweroff
StandardOutput=file:/follow.log
StandardError=inherit
[Install]
WantedBy=multi-user.target
"""
HEAD = """
set -euxo pipefail
export DEBIAN_FRONTEND=noninteractive
export PIP_CERT=/etc/ssl/certs/ca-certificates.crt
"""
TRUST = """
until [ -s /var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt ]; do sleep 1; done
cp /var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt /usr/local/share/ca-certificates/caddy.crt
update-ca-certificates
"""
CHECKS = """
drainlake sql "SELECT count(*) AS n FROM router" --format csv | grep -E '^[0-9]{4,}$'
for unit in drainlake-serve drainlake-land drainlake-schedule; do systemd-analyze security $unit | tail -1; done
systemctl show -p NRestarts drainlake-serve drainlake-land drainlake-schedule
(for n in 1 2 3; do sleep 4; systemctl restart drainlake-serve; done) &
drainlake simulate --to "$url" --lines 200000 --format json
sleep 60
drainlake status
journalctl --no-pager -o cat -u 'drainlake-*' | tail -40
du -sh /opt/drainlake
install -d -o drainlake -g drainlake -m 0700 /mnt/backup/drainlake
env -i PATH=/usr/bin:/bin /usr/local/bin/drainlake backup /mnt/backup/drainlake
"""
# The last part of the page, with certificates that sign themselves in the place of certbot's.
BY_ITSELF = """
issue() {
  mkdir -p /lineage
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=logs.example.com \\
    -addext subjectAltName=DNS:logs.example.com -keyout /lineage/privkey.pem -out /lineage/fullchain.pem
  RENEWED_LINEAGE=/lineage deploy/vm/certbot-deploy-hook
}
systemctl stop caddy
issue
install -D -m 0644 deploy/vm/systemd/optional/20-port-443.conf \\
  /etc/systemd/system/drainlake-serve.service.d/20-port-443.conf
systemctl daemon-reload
cat >> /etc/drainlake/drainlake.env <<END
DRAINLAKE_HOST=0.0.0.0
PORT=443
DRAINLAKE_TLS_CERT=/etc/drainlake/tls/fullchain.pem
DRAINLAKE_TLS_KEY=/etc/drainlake/tls/privkey.pem
END
systemctl restart drainlake.target
sleep 10
(sleep 5; issue) &
drainlake simulate --to "$url" --lines 100000 --format json
wait
served=$(openssl s_client -connect logs.example.com:443 </dev/null | openssl x509 -noout -serial)
test "$served" = "$(openssl x509 -noout -serial -in /lineage/fullchain.pem)"
systemctl show -p NRestarts drainlake-serve
systemd-analyze security drainlake-serve | tail -1
"""


def main() -> int:
    """Boot, follow, and say whether every command ended well."""
    options = _options()
    root = Path(tempfile.mkdtemp(prefix="drainlake-vm-"))
    try:
        _make_root(root, options.suite)
        _put_source(root, options.locks, options.port)
        _write_script(root)
        _boot(root)
        log = (root / "follow.log").read_text("utf-8", "replace")
        print(log)
        return 0 if log.rstrip().endswith("FOLLOWED") else 1
    finally:
        if not options.keep:
            shutil.rmtree(root, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", default="bookworm", help="Debian to follow the page on")
    parser.add_argument("--port", default="8080", help="port of the receiver, where 8080 is another's on this machine")
    parser.add_argument("--keep", action="store_true", help="leave the machine's folder behind")
    parser.add_argument("--locks", type=Path, default=DEPLOY, help="where requirements.lock and docker/build.lock are")
    return parser.parse_args()


def _make_root(root: Path, suite: str) -> None:
    root.chmod(0o755)  # it becomes the machine's /
    subprocess.run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(root)], check=True)
    (root / "etc/hosts").write_text("127.0.0.1 localhost logs.example.com\n")
    authorities = root / "usr/local/share/ca-certificates"
    for path in Path("/usr/local/share/ca-certificates").glob("*.crt"):  # whom this machine trusts beside the usual
        shutil.copy(path, authorities)
    subprocess.run(["chroot", str(root), "update-ca-certificates"], check=True)


def _put_source(root: Path, locks: Path, port: str) -> None:
    source = root / SOURCE
    source.mkdir(parents=True)
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", "HEAD"], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", str(source)], input=archive, check=True)
    for name in ("requirements.lock", "docker/build.lock"):
        (source / "deploy" / name).parent.mkdir(exist_ok=True)
        shutil.copy(locks / name, source / "deploy" / name)
    for path in (source / "deploy/vm/Caddyfile", source / "deploy/vm/drainlake.env"):
        path.write_text(path.read_text().replace("8080", port))
    caddyfile = source / "deploy/vm/Caddyfile"
    caddyfile.write_text(caddyfile.read_text().replace("{\n\tservers", "{\n\tlocal_certs\n\tservers", 1))


def _write_script(root: Path) -> None:
    blocks = [block.replace("curl -sS", TRUST + "curl -sS") for block in commands(PAGE)]
    (root / "follow.sh").write_text("\n".join([HEAD, *blocks, CHECKS, BY_ITSELF, "echo FOLLOWED\n"]))
    (root / "etc/systemd/system/follow.service").write_text(UNIT)
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / "follow.service").symlink_to("../follow.service")


def _boot(root: Path) -> None:
    command = ["systemd-nspawn", "-q", "--register=no", "--keep-unit", "-b", "-D", str(root)]
    subprocess.run(command, timeout=MINUTES_MAX * 60, stdin=subprocess.DEVNULL, env=dict(os.environ), check=False)


if __name__ == "__main__":
    sys.exit(main())
