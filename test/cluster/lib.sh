# shellcheck shell=bash
# shellcheck disable=SC2034 # the scripts use the variables
# Read by the scripts of this folder; it does nothing by itself.
#
# The cluster runs in a "lab": a network namespace and a mount namespace of its
# own, which one sleeping process holds open. The lab's only interface is its
# loopback and no route leads out, so that nothing in it sends a packet off the
# machine; mounts end with it. All files are below $LAB. $LAB/pids has each
# process that was started, with its start time, and it is stopped by that.
set -euo pipefail

LAB=${LAB:-/tmp/slipway-lab} # short: the path of a unix socket has 107 bytes
LAB_BIN=${LAB_BIN:-${XDG_CACHE_HOME:-$HOME/.cache}/slipway-lab/bin}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
NODE_IP=198.18.255.1 # of the range for benchmarks (RFC 2544): nobody's address
POD_CIDR=198.18.0.0/20
SERVICE_CIDR=198.19.0.0/20
API_SERVICE_IP=198.19.0.1 # the first of SERVICE_CIDR
CGROUP=/lab${LAB//\//-} # the parent of all cgroups of the lab: each has its own
CRI=/run/containerd/containerd.sock
export LAB LAB_BIN

say() { printf '%s %s\n' "$(date +%T.%3N)" "$*" >&2; }

# since TIME: seconds from a value of EPOCHREALTIME until now.
since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN{printf "%.1f", b-a}'; }

# stat_of PID: its state and start time, fields 3 and 22 of /proc/PID/stat.
stat_of() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f1,20; }
record() { echo "$2 $(stat_of "$2" | cut -d' ' -f2)" >"$LAB/pids/$1"; }
pid_of() { cut -d' ' -f1 "$LAB/pids/$1"; }

# alive NAME: does the process that was started as NAME run? The start time
# tells it from another one of its number. A zombie does not run: where process
# 1 reaps late, it stays for a while.
alive() {
	local pid start state now
	{ read -r pid start <"$LAB/pids/$1"; } 2>/dev/null || return 1
	read -r state now < <(stat_of "$pid") || return 1
	[ "$state" != Z ] && [ "$now" = "$start" ]
}

# in_lab CMD…: become CMD, in the lab's network and mounts.
in_lab() { exec nsenter --target "$(pid_of lab)" --net --mount -- "$@"; }
within() { (in_lab "$@"); }

# unheld: close what the caller has open, such as the lock of "flock FILE up": a
# program that stays would hold it for ever.
unheld() {
	local fd
	for fd in /proc/self/fd/*; do
		fd=${fd##*/}
		((fd < 3 || fd == 255)) || eval "exec $fd>&-"
	done
}

# start NAME CMD…: CMD in the lab, in the background, unless NAME runs.
start() {
	local name=$1
	shift
	alive "$name" && return 0
	(unheld && in_lab setsid "$@") >>"$LAB/logs/$name.log" 2>&1 </dev/null &
	record "$name" $!
}

# stop NAME [SECONDS]: TERM, and KILL when that was not enough.
stop() {
	local pid i
	if alive "$1"; then
		pid=$(pid_of "$1")
		kill -TERM "$pid" 2>/dev/null || true
		for ((i = 0; i < ${2:-10} * 20; i++)); do
			alive "$1" || break
			sleep 0.05
		done
		! alive "$1" || kill -KILL "$pid" 2>/dev/null || true
	fi
	rm -f "$LAB/pids/$1"
}

# put FILE: standard input into FILE, untouched where nothing changes: kube-proxy
# ends when its file is written.
put() {
	local new
	new=$(cat)
	[ "$(cat "$1" 2>/dev/null)" = "$new" ] || printf '%s\n' "$new" >"$1"
}

# wait_for SECONDS WHAT CMD…: until CMD succeeds; else the ends of the logs.
wait_for() {
	local limit=$1 what=$2 t0=$EPOCHREALTIME
	shift 2
	until "$@" >/dev/null 2>&1; do
		if ((${EPOCHREALTIME%.*} - ${t0%.*} > limit)); then
			say "$what is not there after ${limit}s; the ends of $LAB/logs:"
			tail -n 5 "$LAB"/logs/*.log >&2
			return 1
		fi
		sleep 0.1
	done
	say "$what: after $(since "$t0")s"
}

# lab_up: the namespaces, and the folders that programs have fixed names for.
lab_up() {
	mkdir -p "$LAB"/{pids,logs,run,fs}
	alive lab && return 0
	rm -f "$LAB"/pids/*
	# Private first, shared among themselves below: mounts that are shared on the
	# machine, as /run/netns of "ip netns", would stay tied to it.
	(unheld && exec setsid unshare --net --mount --propagation private sleep infinity) </dev/null >/dev/null 2>&1 &
	record lab $!
	wait_for 5 lab grep -qx sleep "/proc/$!/comm" # unshare has become sleep
	# shellcheck disable=SC2016 # the variables are the inner shell's
	within env NODE_IP="$NODE_IP" SERVICE_CIDR="$SERVICE_CIDR" FS="$LAB/fs" bash -euo pipefail -c '
		mount --make-rshared /
		ip link set lo up
		ip addr add "$NODE_IP/32" dev lo
		# Without a route a service address fails before kube-proxy sees it.
		ip route add "$SERVICE_CIDR" dev lo src "$NODE_IP"
		echo 1 >/proc/sys/net/ipv4/ip_forward
		for d in /var/lib/kubelet /var/lib/cni /var/log/containers /run/containerd /run/netns /tmp/hostpath_pv; do
			mkdir -p "$d" "$FS$d" && mount --bind "$FS$d" "$d"
		done'
	local c f
	for c in /sys/fs/cgroup/*/; do
		[ ! -e "$c/cgroup.procs" ] || mkdir -p "$c$CGROUP"
	done
	# cpuset of cgroup v1 starts empty, and takes no process until it is filled.
	for f in cpuset.cpus cpuset.mems; do
		[ ! -e "/sys/fs/cgroup/cpuset/$f" ] || cat "/sys/fs/cgroup/cpuset/$f" >"/sys/fs/cgroup/cpuset$CGROUP/$f"
	done
}

# members: the processes of the lab's cgroups and of its mount namespace.
members() {
	local ns p
	find "/sys/fs/cgroup$CGROUP" /sys/fs/cgroup/*"$CGROUP" -name cgroup.procs -exec cat {} + 2>/dev/null || true
	ns=$(readlink "/proc/$(pid_of lab)/ns/mnt")
	for p in /proc/[0-9]*; do
		[ "$(readlink "$p/ns/mnt" 2>/dev/null)" != "$ns" ] || echo "${p#/proc/}"
	done | grep -vx "$(pid_of lab)" || true
}

# lab_down: end what is left in the lab, then the lab.
lab_down() {
	local i left=()
	if alive lab; then
		for ((i = 0; i < 50; i++)); do
			mapfile -t left < <(members | sort -u)
			[ ${#left[@]} -gt 0 ] || break
			kill -KILL "${left[@]}" 2>/dev/null || true
			sleep 0.1
		done
		[ ${#left[@]} = 0 ] || say "still there: ${left[*]}"
		stop lab
	fi
	for ((i = 0; i < 20; i++)); do # cgroups outlive their processes for a moment
		find "/sys/fs/cgroup$CGROUP" /sys/fs/cgroup/*"$CGROUP" -depth -type d -exec rmdir {} + 2>/dev/null || true
		compgen -G "/sys/fs/cgroup/*$CGROUP" >/dev/null || break
		sleep 0.1
	done
}
