/* pipe, pipe2. */
#include <fs/file.h>
#include <fs/pipe.h>
#include <kernel/syscall.h>
#include <kernel/user.h>
#include <linux/fcntl.h>

SYSCALL(pipe2, 2, "fds, flags", SYSCALL_PARTIAL)
long sys_pipe2(int *fds, int flags)
{
    struct file *reader, *writer;
    if (!user_range_ok(fds, 2 * sizeof(int)))
        return -EFAULT;
    if (flags & ~(O_CLOEXEC | O_NONBLOCK))
        return -EINVAL; /* also O_DIRECT: packet mode is not there */
    int r = pipe_new(&reader, &writer, flags);
    if (r < 0)
        return r;
    int read_fd = fd_install(reader, 0, flags & O_CLOEXEC);
    if (read_fd < 0) {
        file_put(reader);
        file_put(writer);
        return read_fd;
    }
    int write_fd = fd_install(writer, 0, flags & O_CLOEXEC);
    if (write_fd < 0) {
        file_put(writer);
        fd_close(read_fd);
        return write_fd;
    }
    fds[0] = read_fd;
    fds[1] = write_fd;
    return 0;
}

SYSCALL(pipe, 1, "fds", SYSCALL_COMPLETE)
long sys_pipe(int *fds)
{
    return sys_pipe2(fds, 0);
}
