# Completion of `git-uam` and `uam` for fish, which asks that of git-uam for `git uam`, too.

function __git_uam_complete
    set -lx COMP_WORDS (commandline -cp)
    set -lx COMP_CWORD (commandline -t)
    set -lx _GIT_UAM_COMPLETE fish_complete
    for line in ($argv[1] 2>/dev/null)
        set -l parts (string split -m 1 , -- $line)
        switch $parts[1]
            case plain
                echo $parts[2]
            case file
                __fish_complete_path $parts[2]
            case dir
                __fish_complete_directories $parts[2]
        end
    end
end

complete -c git-uam -f -a '(__git_uam_complete git-uam)'
complete -c uam -f -a '(__git_uam_complete uam)'
