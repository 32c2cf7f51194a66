_sparkrun_tui_completion() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            dir,*) compopt -o dirnames ;;
            file,*) compopt -o default ;;
            plain,*) COMPREPLY+=("${line#plain,}") ;;
        esac
    done < <(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS"         _SPARKRUN_TUI_COMPLETE=bash_complete "$1")
    return 0
}

complete -o nosort -F _sparkrun_tui_completion sparkrun-tui
