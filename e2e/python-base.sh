#!/bin/sh
# Makes the root file system of a small Python image for the end-to-end tests, without pulling an image: Debian
# packages, unpacked without their scripts; pip; and the wheels that the image's user is going to install.
#
#   python-base.sh OUT REQUIREMENTS       e.g. python-base.sh target/python-base ../examples/flask/requirements.txt
#
# Leaves OUT/rootfs.tar: Python, a shell, pip, and the wheels in /wheels. Does nothing when OUT/stamp says that the
# same inputs were already made, so OUT may be kept between runs. Needs apt-get with Debian 12's packages, dpkg, tar
# and pip; PIP names another pip than `pip`.
set -eu
[ $# -eq 2 ] || { sed -n '5s/^# *//p' "$0" >&2; exit 1; }
mkdir -p "$1"
out=$(cd "$1" && pwd -P)
requirements=$(cd "$(dirname "$2")" && pwd -P)/$(basename "$2")

version=3.11
# The closure of libpython-stdlib's dependencies that its modules load, and a shell for RUN.
packages="python$version-minimal libpython$version-minimal libpython$version-stdlib
    libc6 libgcc-s1 zlib1g libexpat1 libssl3 libffi8 libbz2-1.0 liblzma5
    libsqlite3-0 libuuid1 media-types dash"

# shellcheck disable=SC2086 # one word each
stamp=$(printf '%s\n' "$version" $packages && cksum <"$requirements" && cksum <"$0")
if [ -f "$out/stamp" ] && [ "$(cat "$out/stamp")" = "$stamp" ]; then exit 0; fi
rm -rf "$out/stamp" "$out/rootfs.tar"

for tool in apt-get dpkg-deb tar "${PIP:-pip}"; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$work/debs" "$work/lists" "$work/root"
cd "$work/root"
mkdir -p usr/bin usr/sbin usr/lib usr/lib64 usr/local/bin etc proc sys dev run wheels
mkdir -m 1777 tmp
for d in bin sbin lib lib64; do ln -s "usr/$d" "$d"; done
modules=usr/local/lib/python$version/dist-packages

# Wheels and packages at the same time.
{
    for_image="--only-binary=:all: --implementation cp --python-version $version --platform manylinux2014_$(uname -m)"
    # shellcheck disable=SC2086 # one word each
    ${PIP:-pip} download --quiet --disable-pip-version-check $for_image --dest wheels -r "$requirements" &&
        ${PIP:-pip} install --quiet --disable-pip-version-check --root-user-action ignore --no-compile $for_image \
            --target "$modules" pip
} >"$work/pip.log" 2>&1 &
pip=$!

# As root, or apt's own user could not write here. Where the machine's package lists are too old, with fresh ones that
# are kept apart from them.
apt() { apt-get -qq -o APT::Sandbox::User=root "$@"; }
(
    cd "$work/debs"
    # shellcheck disable=SC2086 # one word each
    apt download $packages 2>/dev/null || {
        lists="-o Dir::State::lists=$work/lists -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache="
        apt $lists update && apt $lists download $packages
    }
)
for deb in "$work"/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink \
        --exclude='./usr/share/doc' --exclude='./usr/share/man' \
        --exclude='./usr/share/locale' --exclude='./usr/lib/*/gconv' -f -
done
ln -s "python$version" usr/bin/python3
[ -e usr/bin/sh ] || ln -s dash usr/bin/sh
echo 'root:x:0:0:root:/:/sbin/nologin
nobody:x:65534:65534:nobody:/:/sbin/nologin' >etc/passwd
echo 'root:x:0:
nogroup:x:65534:' >etc/group
printf '#!/usr/bin/python3\nimport sys\nfrom pip._internal.cli.main import main\n\nsys.exit(main())\n' >usr/local/bin/pip
chmod 755 usr/local/bin/pip

wait "$pip" || { cat "$work/pip.log" >&2; exit 1; }
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$out/rootfs.tar" .
printf '%s\n' "$stamp" >"$out/stamp"
