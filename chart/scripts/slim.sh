#!/bin/sh
# Takes out of an image what a node never uses. Run while the image is built:
#   slim.sh packages SITE-PACKAGES   of the Python packages: debug symbols, tests, code that is not called
#   slim.sh system                   of the operating system: its package manager, documentation, pip, and libraries that nothing links
set -eu

# What only the Kubernetes client needs. Discovery uses one module of it, kubernetes.config.incluster_config.
UNUSED_PACKAGES="aiohappyeyeballs aiohttp aiohttp-retry aiosignal annotated-types charset-normalizer durationpy frozenlist
    multidict oauthlib propcache pydantic pydantic-core python-dateutil pyyaml requests requests-oauthlib typing-inspection
    urllib3 websocket-client yarl"

slim_packages() {
    cd "$1"
    # shellcheck disable=SC2086 # a list of names
    python3 -m pip --python "$1/../../../bin/python" uninstall -q -y $UNUSED_PACKAGES
    find kubernetes -mindepth 1 -maxdepth 1 ! -name __init__.py ! -name config -exec rm -rf {} +
    # The system has time zones, and only Python is ever highlighted.
    rm -rf tzdata/zoneinfo
    find pygments/lexers -type f ! -name '_*' ! -name python.py ! -name special.py -delete
    # The variant for PyPy.
    rm -f zstandard/_cffi.*.so
    find . -depth -type d \( -name tests -o -name test \) -exec rm -rf {} +
    find . -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' \) -delete
    find . -type f -name '*.so*' -exec strip --strip-unneeded {} +
}

# Programs that only install software, boot machines or manage accounts, and what they alone need.
PROGRAMS="adduser apt apt-utils bash debconf debian-archive-keyring debianutils diffutils dpkg e2fsprogs findutils gpgv
    init-system-helpers login logsave mount ncurses-base ncurses-bin passwd perl-base
    readline-common sqv sysvinit-utils usr-is-merged util-linux util-linux-extra login.defs bsdutils
    libpam-modules libpam-modules-bin libpam-runtime libsemanage-common"
# Linked by the Python packages, which are not there yet.
KEPT_LIBRARIES="libc6 libgcc-s1 libstdc++6 libssl3 libssl3t64"

one_line() { printf '%s' "$1" | tr -s ' \n' ' '; }
is_in() { case " $(one_line "$2") " in *" $1 "*) return 0 ;; esac; return 1; }

names_of_packages() { dpkg-query -W -f '${Package}\n'; }

# The packages that own a library which some remaining program or module loads.
packages_linked() {
    skipped=$(mktemp)
    # Packages may still say /bin/x for what is /usr/bin/x.
    for package in $PROGRAMS; do dpkg-query -L "$package" 2>/dev/null || true; done |
        sed 's#^/\(bin\|sbin\|lib[^/]*\)/#/usr/\1/#' | sort -u >"$skipped"
    find /usr/bin /usr/sbin /usr/local -type f \( -perm -100 -o -name '*.so*' \) | sort |
        comm -23 - "$skipped" | xargs -n 64 ldd 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p' | sort -u |
        while read -r library; do realpath "$library"; done | sort -u |
        while read -r library; do dpkg-query -S "*${library#/usr}" 2>/dev/null || true; done |
        sed 's/[:,].*//' | sort -u
    rm "$skipped"
}

slim_system() {
    stdlib=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
    rm -rf "$stdlib"/ensurepip "$stdlib"/idlelib "$stdlib"/tkinter "$stdlib"/turtledemo "$stdlib"/lib2to3 "$stdlib"/test \
        "$stdlib"/pydoc_data "$stdlib"/config-* "$stdlib"/lib-dynload/_test*.so "$stdlib"/lib-dynload/_tkinter*.so \
        "$stdlib"/site-packages/* /usr/local/include /usr/local/share /usr/local/lib/*.a /usr/local/lib/pkgconfig
    find /usr/local/bin -name 'pip*' -delete -o -name '*config' -delete -o -name 'idle*' -delete -o -name 'pydoc*' -delete \
        -o -name '2to3*' -delete
    # The root file system is read-only at run time: what is not compiled now is compiled at every start.
    find "$stdlib" -name __pycache__ -prune -exec rm -rf {} +
    python3 -m compileall -q -j 0 "$stdlib"

    linked=$(packages_linked)
    dropped=$PROGRAMS
    for package in $(names_of_packages); do
        case "$package" in
            lib*) is_in "$package" "$KEPT_LIBRARIES" || is_in "$package" "$linked" || dropped="$dropped $package" ;;
        esac
    done
    files=$(mktemp)
    for package in $dropped; do dpkg-query -L "$package" 2>/dev/null || true; done | sort -u >"$files"
    # What scanners read: the packages that are still there.
    awk -v dropped="$(one_line "$dropped")" 'BEGIN { RS = ""; ORS = "\n\n"; n = split(dropped, d, " "); for (i = 1; i <= n; i++) gone[d[i]] }
        { split($0, line, "\n"); sub(/^Package: /, "", line[1]); if (!(line[1] in gone)) print }' \
        /var/lib/dpkg/status >/var/lib/dpkg/status.kept
    find / -xdev -type d -name gconv -prune -exec rm -rf {} +
    rm -rf /usr/share/doc /usr/share/man /usr/share/locale /usr/share/info /usr/share/perl* /usr/share/bash-completion \
        /usr/bin/openssl /usr/bin/c_rehash /usr/bin/tini-static /usr/share/lintian /usr/share/common-licenses /usr/share/bug /usr/share/zsh /usr/share/fish /usr/share/zoneinfo/right /usr/share/zoneinfo/posix \
        /var/cache /var/log /var/lib/apt /var/lib/systemd /var/lib/pam /var/backups /etc/apt \
        /var/lib/dpkg/info /var/lib/dpkg/status-old /usr/lib/apt /usr/share/ca-certificates /root/.cache
    while read -r file; do
        if [ -f "$file" ] || [ -L "$file" ]; then
            # With a merged /usr, /bin/sh and /usr/bin/sh are one file: a link that is a directory's name stays.
            [ -d "$file" ] || rm -f "$file"
        fi
    done <"$files"
    mv /var/lib/dpkg/status.kept /var/lib/dpkg/status
    rm -f "$files"
    mkdir -p /var/cache /var/log
}

case "${1-}" in
    packages) slim_packages "$2" ;;
    system) slim_system ;;
    *) echo "usage: slim.sh packages SITE-PACKAGES | system" >&2; exit 2 ;;
esac
