#!/bin/sh
# Enables git uam in a repository, from this checkout. Safe to run again: what is in place stays.
set -eu

die() {
	echo "install.sh: $1" >&2
	exit "${2:-1}"
}

[ -n "${HOME-}" ] || die "HOME is not set, so there is no place for the environment."
# the same place as platformdirs.user_data_dir("uam_hooks"), which needs the environment that goes there
case $(uname -s) in
Darwin) data="$HOME/Library/Application Support" ;;
*) data=$HOME/.local/share ;;
esac
case ${XDG_DATA_HOME-} in /*) data=$XDG_DATA_HOME ;; esac
data=$data/uam_hooks
env=$data/env
bin=$HOME/.local/bin
man=$HOME/.local/share/man/man1 # man looks there for whoever has $bin on PATH
share=$HOME/.local/share # where shells look for what they complete
case ${XDG_DATA_HOME-} in /*) share=$XDG_DATA_HOME ;; esac
stamp=$env/.installed-from

usage() {
	cat <<EOF
Usage: install.sh [--hooks-only] [--queue CLONE | --fleet URL] [REPO]
       install.sh --demo
       install.sh --uninstall [--force] [--env] [REPO]

Enables git uam in REPO, by default the repository you stand in. Its commands run from an environment of
their own, made on the first run; no other Python is touched. Run it again after updating this checkout.

  --hooks-only  wire no remote: pushes are queued by the pre-push hook instead
  --queue CLONE let pushes land from the queue of another clone on this machine
  --fleet URL   also install what a fleet needs, and join the one in the PostgreSQL database at URL
  --demo        show git uam at work in a throwaway repository; enables nothing
  --uninstall   take git uam out of REPO: config file and hooks become what they were
  --force       with --uninstall: drop what is still queued
  --env         with --uninstall: also remove the environment and the links
  --help        show this

Environment: $env
Links: $bin/git-uam, $bin/uam, $man/git-uam.1, and what bash, zsh and fish complete, below $share
Exit status: 0 done, 1 something is missing, 2 wrong usage, else that of git uam.
EOF
}

mode=install hooks_only= queue= fleet= force= with_env= repo=
while [ $# -gt 0 ]; do
	case $1 in
	--help | -h)
		usage
		exit 0
		;;
	--demo) mode=demo ;;
	--uninstall) mode=uninstall ;;
	--hooks-only) hooks_only=--hooks-only ;;
	--queue)
		[ $# -gt 1 ] || die "--queue needs a clone; see install.sh --help." 2
		queue=$2
		shift
		;;
	--fleet)
		[ $# -gt 1 ] || die "--fleet needs the URL of a database; see install.sh --help." 2
		fleet=$2
		shift
		;;
	--force) force=--force ;;
	--env) with_env=1 ;;
	-*) die "there is no option $1; see install.sh --help." 2 ;;
	*)
		[ -z "$repo" ] || die "one repository at a time; see install.sh --help." 2
		repo=$1
		;;
	esac
	shift
done
case $mode:$hooks_only$queue$fleet:$force$with_env in
install:*: | uninstall::* | demo::) ;;
*) die "these options do not go together; see install.sh --help." 2 ;;
esac
[ "$mode" != demo ] || [ -z "$repo" ] || die "--demo takes no repository; see install.sh --help." 2

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
[ -f "$here/pyproject.toml" ] || die "run this from a checkout of git uam; $here is none."

# -- what the machine must have ------------------------------------------------------------------------

find_git() {
	command -v git >/dev/null 2>&1 || die "git is not on PATH; install git 2.38 or newer."
	version=$(git version)
	version=${version#git version }
	major=${version%%.*}
	minor=${version#*.}
	minor=${minor%%[!0-9]*}
	[ "$major" -gt 2 ] 2>/dev/null || { [ "$major" -eq 2 ] && [ "$minor" -ge 38 ]; } 2>/dev/null ||
		die "git $version is too old; install git 2.38 or newer."
}

find_python() {
	found=
	for python in python3 python3.14 python3.13 python3.12 python3.11; do
		python=$(command -v "$python" 2>/dev/null) || continue
		if "$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
			"$python" -I -c 'import ensurepip, venv' 2>/dev/null ||
				die "$python cannot make environments; install python3-venv (Debian, Ubuntu) or its like."
			return
		fi
		found="$found $python"
	done
	[ -n "$found" ] || die "there is no python3 on PATH; install Python 3.11 or newer."
	die "Python 3.11 or newer is needed;$found is older."
}

# -- the environment -----------------------------------------------------------------------------------

# One line that changes with any file that goes into the package.
fingerprint() (
	cd "$here"
	find uam_hooks hooks fixtures docs/man docs/completion pyproject.toml README.md LICENSE -type f ! -name '*.pyc' 2>/dev/null |
		LC_ALL=C sort >"$data/files"
	{ cat "$data/files" && git hash-object --no-filters --stdin-paths <"$data/files"; } | git hash-object --stdin
)

# Makes the environment what this checkout asks for. The stamp comes last: one without it was interrupted.
make_env() {
	mkdir -p "$data"
	exec 9>"$data/lock" # held by this shell until it closes it or dies, however it dies
	"$python" -I -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
	# what was asked for once stays, whatever becomes of the environment: it is brought up to date with the extra
	extra=
	[ -z "$fleet" ] || : >"$data/with-fleet"
	[ ! -e "$data/with-fleet" ] || extra='[fleet]'
	wanted=$(fingerprint)$extra
	rm -f "$data/files"
	if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && "$env/bin/python" -I -c 'import uam_hooks'; then
		exec 9>&-
		return
	fi
	if [ -f "$stamp" ] && "$env/bin/python" -I -m pip --version >/dev/null 2>&1; then
		echo "Bringing the environment in $env up to date."
		rm -f "$stamp"
	else
		echo "Making an environment in $env; this takes a moment."
		rm -rf "$env"
		"$python" -I -m venv "$env" || die "could not make an environment in $env."
	fi
	"$env/bin/python" -I -m pip --disable-pip-version-check --no-input --quiet install "$here$extra" ||
		die "pip could not install git uam; its words are above."
	"$env/bin/python" -I -c 'import uam_hooks' || die "the environment in $env does not work."
	echo "$wanted" >"$stamp"
	exec 9>&-
}

# Calls $1 with each link of ours and what it leads to.
each_link() {
	"$1" "$bin/git-uam" "$env/bin/git-uam"
	"$1" "$bin/uam" "$env/bin/uam"
	"$1" "$man/git-uam.1" "$env/share/man/man1/git-uam.1"
	"$1" "$share/bash-completion/completions/git-uam" "$env/share/bash-completion/completions/git-uam"
	"$1" "$share/bash-completion/completions/uam" "$env/share/bash-completion/completions/git-uam"
	"$1" "$share/zsh/site-functions/_git-uam" "$env/share/zsh/site-functions/_git-uam"
	"$1" "$share/fish/vendor_completions.d/git-uam.fish" "$env/share/fish/vendor_completions.d/git-uam.fish"
}

is_ours() {
	[ -L "$1" ] && [ "$(readlink "$1")" = "$2" ]
}

make_link() {
	# tried before looking: another install.sh may make the same link at the same time
	{ [ ! -d "$1" ] && mkdir -p "${1%/*}" && ln -s "$2" "$1"; } 2>/dev/null && return
	if is_ours "$1" "$2"; then return; fi
	if [ -e "$1" ] || [ -L "$1" ]; then
		echo "Left $1 alone: it is not ours. Enabled repositories do not need it."
	else
		echo "Could not make the link $1. Enabled repositories do not need it." >&2
	fi
}

remove_link() {
	if is_ours "$1" "$2"; then rm -f "$1"; fi
}

say_where() {
	if ! is_ours "$bin/git-uam" "$env/bin/git-uam"; then return; fi
	case :$PATH: in
	*":$bin:"*) ;;
	*) echo "$bin is not on PATH; outside enabled repositories, run $bin/git-uam." ;;
	esac
}

# -- what is asked for ---------------------------------------------------------------------------------

find_git
if [ -z "$repo" ] && git rev-parse --git-dir >/dev/null 2>&1; then repo=.; fi
case $repo in -*) repo=./$repo ;; esac

case $mode in
uninstall)
	if [ -n "$repo" ]; then
		[ -x "$env/bin/git-uam" ] || die "the environment in $env is gone; run install.sh once more, then --uninstall."
		"$env/bin/git-uam" uninstall $force "$repo"
	elif [ -z "$with_env" ]; then
		die "say which repository: install.sh --uninstall REPO." 2
	fi
	if [ -n "$with_env" ]; then
		each_link remove_link
		rm -rf "$env" "$data/lock" "$data/with-fleet"
		rmdir "$data" 2>/dev/null || :
		echo "Removed the environment in $env."
	fi
	;;
demo)
	find_python
	make_env
	exec "$env/bin/git-uam" demo
	;;
install)
	find_python
	make_env
	each_link make_link
	say_where
	if [ -n "$repo" ]; then
		"$env/bin/git-uam" install $hooks_only ${queue:+--queue "$queue"} "$repo"
		if [ -n "$fleet" ]; then
			CDPATH='' cd -- "$repo"
			"$env/bin/git-uam" fleet join "$fleet"
		fi
	elif [ -n "$fleet" ]; then
		echo "The environment is ready, with what a fleet needs. In a repository, git uam fleet join URL joins one."
	else
		echo "The environment is ready. You stand in no repository; enable one with install.sh REPO."
	fi
	;;
esac
