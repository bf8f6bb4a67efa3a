# What a machine that builds tells of itself. `remote/probe.py` reads this, and trusts none of it.
#
# For any POSIX shell, with what coreutils and busybox both have. It writes no file and asks nobody anything; what is
# not there, or may not be read, is left out. Nothing runs before all of it has arrived: that is why it is functions.

# option PROCESS NAME: what a process was given as --NAME VALUE or --NAME=VALUE.
option() {
    head -c 16384 "$1/cmdline" | tr '\0' '\n' | {
        found='' next=''
        while IFS= read -r word; do
            if [ -n "$next" ]; then
                found=$word next=''
                continue
            fi
            case $word in
            "--$2" | "-$2") next=yes ;;
            "--$2"=* | "-$2"=*) found=${word#*=} ;;
            esac
        done
        printf '%s' "$found"
    }
}

# setting PROCESS FILE EXPRESSION: what sed finds first in a file, as the process sees it. Fails where nobody may look.
setting() {
    file=$1/root$2
    [ -r "$file" ] || file=$2
    [ -r "$file" ] || return
    head -c 65536 "$file" | sed -n "$3" | head -n 1
}

# quota PROCESS: each limit of processors on the way from its control group to the root.
quota() {
    while IFS=: read -r _ kinds group; do
        case ,$kinds, in
        ,,) tops='/sys/fs/cgroup /sys/fs/cgroup/unified' ;;
        *,cpu,*) tops='/sys/fs/cgroup/cpu /sys/fs/cgroup/cpu,cpuacct' ;;
        *) continue ;;
        esac
        for top in $tops; do
            path=$group
            while :; do
                read -r most period <"$top$path/cpu.max" && printf 'quota %s %s\n' "$most" "$period"
                read -r most <"$top$path/cpu.cfs_quota_us" && read -r period <"$top$path/cpu.cfs_period_us" &&
                    printf 'quota %s %s\n' "$most" "$period"
                case $path in
                */*) path=${path%/*} ;;
                *) break ;;
                esac
            done
        done
    done <"$1/cgroup"
}

# device PATH: what the files below it lie on; of volumes over volumes, the lowest.
device() {
    number=$(stat -L -c %D "$1")
    case $number in '' | *[!0-9a-f]*) return ;; esac
    number=$((0x$number))
    block=/sys/dev/block/$((number >> 8 & 0xfff)):$((number & 0xff | number >> 12 & 0xfff00))
    [ -e "$block" ] || return
    block=$(readlink -f "$block")
    for _ in 1 2 3 4; do
        lower=''
        for each in "$block"/slaves/*; do
            [ -e "$each" ] && lower=$each
        done
        [ -n "$lower" ] || break
        block=$(readlink -f "$lower")
    done
    printf 'device %s\n' "$block"
    # A partition has none of these: its disk has them.
    [ -e "$block/queue" ] || block=${block%/*}
    read -r spins <"$block/queue/rotational" && printf 'rotational %s\n' "$spins"
    read -r model <"$block/device/model" && printf 'model %s\n' "$model"
    read -r file <"$block/loop/backing_file" && printf 'backing %s %s\n' "$(stat -f -c %t "$file")" "$file"
}

# daemon PROCESS PROGRAM: where it keeps its files, and on what.
daemon() {
    printf 'daemon %s %s\n' "${1#/proc/}" "$2"
    home=''
    [ -O "$1" ] && [ "$(id -u)" != 0 ] && home=${XDG_DATA_HOME:-$HOME/.local/share}
    case $2 in
    buildkitd)
        root=$(option "$1" root)
        given=$(option "$1" config)
        config=${given:-/etc/buildkit/buildkitd.toml}
        key='s/^[[:space:]]*root[[:space:]]*=[[:space:]]*"\([^"]*\)".*/\1/p
            s/^[[:space:]]*root[[:space:]]*=[[:space:]]*'"'\([^']*\)'"'.*/\1/p'
        usual=${home:-/var/lib}/buildkit
        ;;
    *)
        root=$(option "$1" data-root)
        [ -n "$root" ] || root=$(option "$1" g)
        given=$(option "$1" config-file)
        config=${given:-/etc/docker/daemon.json}
        key='s/.*"data-root"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p'
        usual=${home:-/var/lib}/docker
        ;;
    esac
    if [ -z "$root" ] && ! root=$(setting "$1" "$config" "$key"); then
        # A file that is there may say anything.
        { [ -z "$given" ] && ! [ -e "$config" ]; } || return
    fi
    root=${root:-$usual}
    printf 'root %s\n' "$root"
    # It may have mounts of its own, at which only root may look.
    path=$1/root$root
    [ -d "$path" ] || path=$root
    for id in "$path"/*/workerid "$path"/buildkit/*/workerid; do
        [ -r "$id" ] && printf 'worker %s\n' "$(head -c 64 "$id")"
    done
    printf 'disk %s\n' "$(stat -f -c '%t %S %b %a %c %d' "$path")"
    device "$path"
    quota "$1"
}

probe() {
    LC_ALL=C
    export LC_ALL
    PATH=$PATH:/usr/sbin:/sbin
    unset OMP_NUM_THREADS OMP_THREAD_LIMIT # nproc would obey them
    echo fleetpacks-probe 1
    printf 'kernel %s\n' "$(uname -sr)"
    printf 'machine %s\n' "$(uname -m)"
    printf 'user %s\n' "$(id -un)"
    printf 'cores %s\n' "$(nproc || getconf _NPROCESSORS_ONLN)"
    read -r load _ </proc/loadavg && printf 'load %s\n' "$load"
    while read -r name amount _; do
        case $name in
        MemTotal: | MemAvailable: | SwapTotal: | SwapFree:) printf '%s %s\n' "$name" "$amount" ;;
        esac
    done </proc/meminfo
    for name in /proc/sys/fs/binfmt_misc/*; do
        name=${name##*/}
        case $name in
        register | status | '*') ;;
        *) printf 'emulator %s\n' "$name" ;;
        esac
    done
    own=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
    for path in /run/buildkit/buildkitd.sock /var/run/docker.sock "$own/buildkit/buildkitd.sock" "$own/docker.sock"; do
        [ -S "$path" ] || continue
        if [ -w "$path" ]; then
            printf 'socket open %s\n' "$path"
        else
            printf 'socket shut %s\n' "$path"
        fi
    done
    seen=''
    for process in /proc/[0-9]*; do
        program=''
        read -r program <"$process/comm"
        case $program in
        buildkitd | dockerd)
            daemon "$process" "$program"
            seen=$seen,$program
            ;;
        esac
    done
    # Processes of others may be hidden: then it is where it usually is.
    case $seen in *buildkitd*) ;; *) [ -d /var/lib/buildkit ] && daemon /proc/0 buildkitd ;; esac
    case $seen in *dockerd*) ;; *) [ -d /var/lib/docker ] && daemon /proc/0 dockerd ;; esac
    echo end
}

probe </dev/null 2>/dev/null | head -c 65536
