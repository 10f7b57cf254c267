/*
 * Rust's runtime opens /dev/null in the place of a standard output that is closed, and a command whose
 * output is lost would end with 0. This runs before it, and takes /dev/full instead: the first write
 * fails, and the command reports it. Where there is no /dev/full, nothing changes.
 */
#include <fcntl.h>
#include <unistd.h>

__attribute__((constructor)) static void fail_on_closed_stdout(void) {
    if (fcntl(STDOUT_FILENO, F_GETFD) != -1) {
        return;
    }
    int full = open("/dev/full", O_WRONLY);
    if (full > STDOUT_FILENO) {
        dup2(full, STDOUT_FILENO);
        close(full);
    } else if (full == STDIN_FILENO) {
        /* Standard input is closed, too, and stays so. */
        dup2(full, STDOUT_FILENO);
        close(full);
    }
}
