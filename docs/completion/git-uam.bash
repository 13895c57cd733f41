# Completion of `git uam`, `git-uam` and `uam` for bash. git's own completion calls _git_uam for `git uam`.

_git_uam() {
	_git_uam_ask "$((${__git_cmd_idx:-1}))" __git uam
}

_git_uam_itself() {
	_git_uam_ask 0 "$1"
}

# The program is asked what may stand at the cursor. $1 is where it stands in the line, the rest runs it.
_git_uam_ask() {
	local at=$1 kind value help words=() told=() number=$((COMP_CWORD - $1))
	shift
	[ "$1" != __git ] || declare -F __git >/dev/null || set -- git "${@:2}"
	words=("${COMP_WORDS[@]:at+1}")
	COMPREPLY=()
	while IFS= read -r kind && IFS= read -r value && IFS= read -r help; do
		case $kind in
		plain)
			COMPREPLY+=("$value")
			case $value in *[!0-9]*) ;; *) told+=("$value ($help)") ;; esac # an id says what it is
			;;
		file) compopt -o default 2>/dev/null ;;
		dir) compopt -o dirnames 2>/dev/null ;;
		esac
	done < <(
		unset COMP_WORDS COMP_CWORD # an array is not exported
		export COMP_WORDS="git-uam $(printf '%q ' "${words[@]}")" COMP_CWORD=$number _GIT_UAM_COMPLETE=zsh_complete
		"$@" 2>/dev/null
	)
	[ ${#told[@]} -lt 2 ] || [ ${#told[@]} -ne ${#COMPREPLY[@]} ] || COMPREPLY=("${told[@]}")
}

complete -o nosort -F _git_uam_itself git-uam uam 2>/dev/null || complete -F _git_uam_itself git-uam uam
