/* Files: reading and writing at places, flags of open, what descriptors share, names, times and sizes. */
#include "check.h"
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

static void contents(void)
{
    char b[100] = "";
    int fd = open("f", O_CREAT | O_RDWR | O_EXCL, 0640);
    check(fd >= 0, "created");
    fails(open("f", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST, "O_EXCL: there already");
    equal(write(fd, "0123456789", 10), 10, "write");
    equal(lseek(fd, 0, SEEK_CUR), 10, "the offset moved");
    equal(lseek(fd, 3, SEEK_SET), 3, "lseek");
    equal(read(fd, b, 4), 4, "read");
    check(!memcmp(b, "3456", 4), "content");
    equal(pread(fd, b, 3, 0), 3, "pread");
    equal(pwrite(fd, "AB", 2, 1), 2, "pwrite");
    equal(lseek(fd, 0, SEEK_CUR), 7, "do not move the offset");
    equal(read(fd, b, 100), 3, "to the end");
    equal(read(fd, b, 100), 0, "the end");
    fails(pread(fd, b, 1, -1), EINVAL, "a negative offset");
    fails(lseek(fd, -1, SEEK_SET), EINVAL, "a negative place");
    equal(lseek(fd, -2, SEEK_END), 8, "from the end");
    struct iovec v[3] = {{b, 2}, {b + 10, 0}, {b + 20, 5}};
    lseek(fd, 0, SEEK_SET);
    equal(readv(fd, v, 3), 7, "readv");
    check(!memcmp(b, "0A", 2) && !memcmp(b + 20, "B3456", 5), "content");
    equal(pwritev(fd, v, 3, 20), 7, "pwritev beyond the end");
    pread(fd, b, 17, 10);
    check(!memcmp(b, "\0\0\0\0\0\0\0\0\0\0"
                     "0AB3456", 17), "the gap is zeros");
    close(fd);
    fails(write(fd, b, 1), EBADF, "write to a closed one");
    fails(close(fd), EBADF, "closed twice");
    fails(open("nosuch/f", O_RDONLY), ENOENT, "no such folder");
    fails(open("f/g", O_RDONLY), ENOTDIR, "a file is no folder");
    fails(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR, "O_DIRECTORY");
    fails(open(".", O_WRONLY), EISDIR, "a folder cannot be written");
    fails(open("", O_RDONLY), ENOENT, "an empty name");
    char name[300];
    memset(name, 'n', sizeof(name));
    name[256] = 0;
    fails(open(name, O_CREAT | O_RDWR, 0600), ENAMETOOLONG, "256 characters");
    name[255] = 0;
    fd = open(name, O_CREAT | O_RDWR, 0600);
    check(fd >= 0, "255 characters");
    close(fd);
    unlink(name);
    unlink("f");
}

static void flags(void)
{
    char b[20] = "";
    int fd = open("g", O_CREAT | O_WRONLY | O_APPEND, 0600);
    fails(read(fd, b, 1), EBADF, "O_WRONLY: no reading");
    write(fd, "abc", 3);
    lseek(fd, 0, SEEK_SET);
    write(fd, "def", 3);
    equal(lseek(fd, 0, SEEK_CUR), 6, "O_APPEND: always at the end");
    equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND), O_WRONLY | O_APPEND, "F_GETFL");
    equal(fcntl(fd, F_SETFL, 0), 0, "F_SETFL: no longer");
    pwrite(fd, "X", 1, 0);
    close(fd);
    fd = open("g", O_RDONLY);
    fails(write(fd, b, 1), EBADF, "O_RDONLY: no writing");
    equal(read(fd, b, 20), 6, "read");
    check(!memcmp(b, "Xbcdef", 6), "content");
    equal(fcntl(fd, F_GETFD), 0, "F_GETFD");
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    equal(fcntl(fd, F_GETFD), FD_CLOEXEC, "F_SETFD");
    close(fd);
    fd = open("g", O_RDWR | O_TRUNC | O_CLOEXEC);
    equal(lseek(fd, 0, SEEK_END), 0, "O_TRUNC");
    equal(fcntl(fd, F_GETFD), FD_CLOEXEC, "O_CLOEXEC");
    close(fd);
    unlink("g");
}

static void duplicates(void)
{
    int fd = open("h", O_CREAT | O_RDWR, 0600), copy = dup(fd);
    char b[10];
    write(fd, "0123456789", 10);
    equal(lseek(copy, 0, SEEK_CUR), 10, "dup shares the offset");
    lseek(copy, 2, SEEK_SET);
    read(fd, b, 1);
    equal(b[0], '2', "both ways");
    int own = open("h", O_RDONLY);
    equal(lseek(own, 0, SEEK_CUR), 0, "open does not");
    equal(dup2(fd, 500), 500, "dup2 to a number");
    equal(dup2(fd, fd), fd, "dup2 to itself");
    fails(dup2(9999, 5), EBADF, "dup2 of none");
    fails(dup3(fd, fd, 0), EINVAL, "dup3 to itself");
    equal(dup3(fd, 501, O_CLOEXEC), 501, "dup3");
    equal(fcntl(501, F_GETFD), FD_CLOEXEC, "with O_CLOEXEC");
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 300);
    check(high >= 300 && fcntl(high, F_GETFD) == FD_CLOEXEC, "F_DUPFD_CLOEXEC");
    close(fd);
    equal(pread(copy, b, 1, 9), 1, "a copy lives on");
    fd = open("h", O_RDONLY);
    int next = dup(fd);
    close(fd);
    equal(dup(next), fd, "the lowest number is taken");
    close(fd), close(next), close(own), close(500), close(501), close(high), close(copy);
    unlink("h");
}

static void sizes(void)
{
    struct stat s;
    char b[10];
    int fd = open("i", O_CREAT | O_RDWR, 0600);
    equal(ftruncate(fd, 1000000), 0, "ftruncate longer");
    fstat(fd, &s);
    equal(s.st_size, 1000000, "the size");
    check(s.st_blocks * 512 < 1000000, "no blocks for a hole");
    equal(pread(fd, b, 10, 500000), 10, "read in the hole");
    check(!memcmp(b, "\0\0\0\0\0\0\0\0\0\0", 10), "zeros");
    pwrite(fd, "end", 3, 999997);
    equal(ftruncate(fd, 999999), 0, "shorter");
    equal(ftruncate(fd, 1000000), 0, "and longer again");
    pread(fd, b, 3, 999997);
    check(!memcmp(b, "en\0", 3), "what was cut off is zero");
    equal(pwrite(fd, "far", 3, 1ll << 36), 3, "sparse: at 64 GiB");
    fstat(fd, &s);
    equal(s.st_size, (1l << 36) + 3, "the size");
    check(s.st_blocks * 512 < 1000000, "few blocks");
    equal(pread(fd, b, 3, 1ll << 36), 3, "read there");
    check(!memcmp(b, "far", 3), "content");
    equal(truncate("i", 5), 0, "truncate by name");
    fails(ftruncate(fd, -1), EINVAL, "a negative size");
    close(fd);
    fails(truncate("nosuch", 0), ENOENT, "truncate of nothing");
    unlink("i");
}

static void large(void)
{
    enum { SIZE = 20 << 20, PART = 1 << 16 };
    static unsigned char b[PART];
    int fd = open("large", O_CREAT | O_RDWR, 0600);
    bool good = true;
    for (size_t at = 0; at < SIZE; at += PART) {
        pattern_fill(b, PART, at, 1);
        good = good && write(fd, b, PART) == PART;
    }
    check(good, "20 MB written");
    for (size_t at = 1234; at + PART < SIZE && good; at += PART * 3 + 77)
        good = pread(fd, b, PART, (off_t)at) == PART && pattern_good(b, PART, at, 1);
    check(good, "read at odd places");
    lseek(fd, 0, SEEK_SET);
    for (size_t at = 0; at < SIZE && good; at += PART)
        good = read(fd, b, PART) == PART && pattern_good(b, PART, at, 1);
    check(good, "read from the start");
    equal(fsync(fd), 0, "fsync");
    equal(fdatasync(fd), 0, "fdatasync");
    close(fd);
    unlink("large");
}

static void names(void)
{
    struct stat s, t;
    char b[100];
    int fd = open("a", O_CREAT | O_RDWR, 0600);
    write(fd, "content", 7);
    equal(link("a", "b"), 0, "a hard link");
    stat("b", &s);
    fstat(fd, &t);
    check(s.st_ino == t.st_ino && s.st_nlink == 2, "one file, two names");
    equal(rename("b", "c"), 0, "rename");
    fails(stat("b", &s), ENOENT, "the old name is gone");
    fails(rename("nosuch", "x"), ENOENT, "rename of nothing");
    int other = open("d", O_CREAT | O_RDWR, 0600);
    equal(rename("c", "d"), 0, "rename over a file");
    stat("d", &s);
    equal(s.st_ino, t.st_ino, "it is the one");
    equal(write(other, "x", 1), 1, "the one replaced lives on while it is open");
    close(other);
    unlink("a");
    unlink("d");
    fstat(fd, &s);
    equal(s.st_nlink, 0, "no names left");
    pread(fd, b, 7, 0);
    check(!memcmp(b, "content", 7), "an unlinked open file can be read");
    equal(write(fd, "more", 4), 4, "and written");
    close(fd);
    equal(symlink("target", "link"), 0, "a symbolic link");
    fails(open("link", O_RDONLY), ENOENT, "to nothing");
    fd = open("link", O_CREAT | O_RDWR, 0600);
    check(fd >= 0 && stat("target", &s) == 0, "open by it creates its target");
    write(fd, "12345", 5);
    close(fd);
    equal(readlink("link", b, sizeof(b)), 6, "readlink");
    lstat("link", &s);
    check(S_ISLNK(s.st_mode) && s.st_size == 6, "lstat");
    stat("link", &s);
    check(S_ISREG(s.st_mode) && s.st_size == 5, "stat");
    fails(open("link", O_RDONLY | O_NOFOLLOW), ELOOP, "O_NOFOLLOW");
    fails(readlink("target", b, sizeof(b)), EINVAL, "readlink of a file");
    symlink("l2", "l1");
    symlink("l1", "l2");
    fails(open("l1", O_RDONLY), ELOOP, "a circle");
    check(realpath("link", b) != NULL && strstr(b, "/target"), "realpath");
    unlink("l1"), unlink("l2"), unlink("link"), unlink("target");
}

static void attributes(void)
{
    struct stat s;
    struct timespec t[2] = {{1000000, 5}, {2000000, 6}};
    mode_t mask = umask(027);
    int fd = open("m", O_CREAT | O_RDWR, 0666);
    umask(mask);
    fstat(fd, &s);
    equal(s.st_mode, S_IFREG | 0640, "umask");
    equal(fchmod(fd, 0600), 0, "fchmod");
    equal(chmod("m", 0755), 0, "chmod");
    stat("m", &s);
    equal(s.st_mode, S_IFREG | 0755, "the mode");
    equal(futimens(fd, t), 0, "futimens");
    fstat(fd, &s);
    check(s.st_atim.tv_sec == 1000000 && s.st_mtim.tv_sec == 2000000 && s.st_mtim.tv_nsec == 6, "the times");
    write(fd, "x", 1);
    fstat(fd, &s);
    check(s.st_mtim.tv_sec > 1600000000, "writing sets the time");
    check(s.st_nlink == 1 && s.st_size == 1 && s.st_blksize > 0 && s.st_ino && s.st_uid == getuid(), "the other fields");
    equal(access("m", R_OK | W_OK | X_OK), 0, "access");
    fails(access("nosuch", F_OK), ENOENT, "access of nothing");
    struct statvfs v;
    equal(statvfs(".", &v), 0, "statvfs");
    check(v.f_bsize && v.f_blocks && v.f_namemax == 255, "its fields");
    close(fd);
    unlink("m");
    fails(chmod("m", 0600), ENOENT, "chmod of nothing");
}

static void *append_lines(void *id)
{
    char b[16];
    int fd = open("log", O_WRONLY | O_APPEND | O_CREAT, 0600);
    for (int i = 0; i < 200; i++) {
        snprintf(b, sizeof(b), "%ld:%010d\n", (long)id, i);
        if (write(fd, b, 13) != 13)
            break;
    }
    close(fd);
    return NULL;
}

static void appending(void)
{
    pthread_t t[4];
    struct stat s;
    char line[20];
    int bad = 0;
    for (long i = 0; i < 4; i++)
        t[i] = start(append_lines, (void *)i);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    stat("log", &s);
    equal(s.st_size, 4 * 200 * 13, "4 threads append 200 lines each");
    FILE *f = fopen("log", "r");
    while (f && fgets(line, sizeof(line), f))
        bad += strlen(line) != 13 || line[1] != ':';
    equal(bad, 0, "none is torn");
    if (f)
        fclose(f);
    unlink("log");
}

static void many_open(void)
{
    static int fds[1000];
    int n = 0, good = 0;
    char b[20];
    while (n < 1000 && (fds[n] = open("many", O_CREAT | O_RDWR, 0600)) >= 0)
        n++;
    if (n < 1000 && errno == EMFILE && !on_singlet()) {
        note("only %d by this system's limit", n);
    } else {
        equal(n, 1000, "1,000 descriptors");
    }
    for (int i = 0; i < n; i++) {
        snprintf(b, sizeof(b), "%d", i);
        good += pwrite(fds[i], b, 20, i * 20) == 20;
    }
    for (int i = 0; i < n; i++) {
        good += pread(fds[n - 1 - i], b, 20, i * 20) == 20 && atoi(b) == i;
        close(fds[n - 1 - i]);
    }
    equal(good, 2 * n, "each works");
    unlink("many");
}

int main(void)
{
    run(contents);
    run(flags);
    run(duplicates);
    run(sizes);
    run(large);
    run(names);
    run(attributes);
    run(appending);
    run(many_open);
    return 0;
}
