/* Folders: making, listing, moving, removing; paths relative to descriptors. */
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

static int count_entries(const char *path, bool *dots)
{
    DIR *d = opendir(path);
    int n = 0;
    *dots = false;
    if (!d)
        return -1;
    struct dirent *e;
    int dot = 0;
    while ((e = readdir(d))) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            dot++;
        else
            n++;
    }
    *dots = dot == 2;
    closedir(d);
    return n;
}

static void making(void)
{
    struct stat s;
    bool dots;
    equal(mkdir("d", 0755), 0, "mkdir");
    fails(mkdir("d", 0755), EEXIST, "twice");
    fails(mkdir("x/y", 0755), ENOENT, "in nothing");
    stat("d", &s);
    equal(s.st_mode, S_IFDIR | 0755, "its mode");
    equal(count_entries("d", &dots), 0, "empty");
    check(dots, "with . and ..");
    equal(mkdir("d/e", 0755), 0, "one in it");
    stat("d", &s);
    check(s.st_nlink == 3 || s.st_nlink == 1, "links (%ld)", (long)s.st_nlink);
    fails(rmdir("d"), ENOTEMPTY, "rmdir of one that is not empty");
    fails(unlink("d/e"), EISDIR, "unlink of a folder");
    equal(rmdir("d/e"), 0, "rmdir");
    int fd = open("d/f", O_CREAT | O_RDWR, 0600);
    close(fd);
    fails(rmdir("d/f"), ENOTDIR, "rmdir of a file");
    unlink("d/f");
    fails(rmdir("d/."), EINVAL, "rmdir of .");
    equal(rmdir("d"), 0, "removed");
    fails(rmdir("d"), ENOENT, "twice");
}

static void listing(void)
{
    enum { MANY = 1500 };
    static char seen[MANY];
    char name[64];
    bool dots;
    mkdir("many", 0755);
    int made = 0, wrong = 0;
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "many/entry-with-a-rather-long-name-%d", i);
        int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600);
        made += fd >= 0;
        close(fd);
    }
    equal(made, MANY, "1,500 files made");
    DIR *d = opendir("many");
    struct dirent *e;
    int n = 0;
    while ((e = readdir(d))) {
        int i;
        if (sscanf(e->d_name, "entry-with-a-rather-long-name-%d", &i) != 1)
            continue;
        n++;
        wrong += i < 0 || i >= MANY || seen[i]++ || (e->d_type != DT_REG && e->d_type != DT_UNKNOWN) || !e->d_ino;
    }
    equal(n, MANY, "all listed");
    equal(wrong, 0, "each once");
    rewinddir(d);
    readdir(d);
    long place = telldir(d);
    e = readdir(d);
    if (e) {
        snprintf(name, sizeof(name), "%s", e->d_name);
        readdir(d);
        seekdir(d, place);
        e = readdir(d);
        check(e && !strcmp(e->d_name, name), "telldir and seekdir");
    }
    /* Removing while listing: what is not removed is seen once, nothing twice. */
    rewinddir(d);
    n = 0;
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(name, sizeof(name), "many/%.50s", e->d_name);
        n += unlink(name) == 0;
    }
    closedir(d);
    equal(n, MANY, "all removed while listing");
    equal(count_entries("many", &dots), 0, "empty");
    equal(rmdir("many"), 0, "removed");
    check(opendir("many") == NULL && errno == ENOENT, "opendir of nothing");
}

static void moving(void)
{
    mkdir("p", 0755);
    mkdir("p/q", 0755);
    mkdir("r", 0755);
    int fd = open("p/q/f", O_CREAT | O_RDWR, 0600);
    write(fd, "x", 1);
    close(fd);
    equal(rename("p/q", "r/s"), 0, "a folder moves");
    equal(access("r/s/f", F_OK), 0, "with its content");
    fails(rename("r", "r/s/t"), EINVAL, "not into itself");
    fails(rename("p", "r"), ENOTEMPTY, "not over one that is not empty");
    fd = open("file", O_CREAT | O_RDWR, 0600);
    close(fd);
    fails(rename("file", "p"), EISDIR, "a file not over a folder");
    fails(rename("p", "file"), ENOTDIR, "a folder not over a file");
    equal(rename("r/s", "p"), 0, "over an empty folder");
    equal(access("p/f", F_OK), 0, "content");
    unlink("p/f"), rmdir("p"), rmdir("r"), unlink("file");
}

static void relative(void)
{
    struct stat s, t;
    char b[PATH_MAX], was[PATH_MAX];
    mkdir("base", 0755);
    int dir = open("base", O_RDONLY | O_DIRECTORY);
    check(dir >= 0, "a folder opened");
    int fd = openat(dir, "f", O_CREAT | O_RDWR, 0600);
    check(fd >= 0 && access("base/f", F_OK) == 0, "openat");
    equal(mkdirat(dir, "sub", 0755), 0, "mkdirat");
    equal(fstatat(dir, "f", &s, 0), 0, "fstatat");
    fstat(fd, &t);
    equal(s.st_ino, t.st_ino, "the same file");
    equal(fstatat(dir, "", &s, AT_EMPTY_PATH), 0, "AT_EMPTY_PATH");
    check(S_ISDIR(s.st_mode), "the folder itself");
    equal(renameat(dir, "f", dir, "g"), 0, "renameat");
    equal(symlinkat("g", dir, "l"), 0, "symlinkat");
    equal(linkat(dir, "g", dir, "h", 0), 0, "linkat");
    equal(faccessat(dir, "l", R_OK, 0), 0, "faccessat through a link");
    equal(unlinkat(dir, "h", 0) | unlinkat(dir, "l", 0) | unlinkat(dir, "g", 0), 0, "unlinkat");
    equal(unlinkat(dir, "sub", AT_REMOVEDIR), 0, "unlinkat of a folder");
    fails(openat(fd, "x", O_RDONLY), ENOTDIR, "openat of a file");
    char c;
    fails(read(dir, &c, 1), EISDIR, "read of a folder");
    check(getcwd(was, sizeof(was)) != NULL, "getcwd");
    equal(fchdir(dir), 0, "fchdir");
    check(getcwd(b, sizeof(b)) && !strncmp(b, was, strlen(was)) && !strcmp(b + strlen(was), "/base"), "where we are");
    equal(chdir(".."), 0, "chdir");
    check(getcwd(b, sizeof(b)) && !strcmp(b, was), "back");
    check(getcwd(b, 2) == NULL && errno == ERANGE, "getcwd: too small");
    fails(chdir("nosuch"), ENOENT, "chdir to nothing");
    equal(access("base/../base/./../base//", F_OK), 0, "a winding path");
    close(fd), close(dir), rmdir("base");
}

static void *churn(void *id)
{
    char a[40], b[40];
    long bad = 0;
    for (int i = 0; i < 100; i++) {
        snprintf(a, sizeof(a), "churn/%ld-%d", (long)id, i % 7);
        snprintf(b, sizeof(b), "churn/%ld-x", (long)id);
        int fd = open(a, O_CREAT | O_RDWR, 0600);
        bad += fd < 0 || write(fd, a, 5) != 5 || close(fd) || rename(a, b) || unlink(b);
        bad += mkdir(a, 0755) || rmdir(a);
    }
    return (void *)bad;
}

static void several_threads(void)
{
    pthread_t t[4];
    long bad = 0;
    mkdir("churn", 0755);
    for (long i = 0; i < 4; i++)
        t[i] = start(churn, (void *)i);
    for (int i = 0; i < 4; i++) {
        void *r;
        pthread_join(t[i], &r);
        bad += (long)r;
    }
    equal(bad, 0, "4 threads make, move and remove in one folder");
    equal(rmdir("churn"), 0, "it is empty");
}

int main(void)
{
    run(making);
    run(listing);
    run(moving);
    run(relative);
    run(several_threads);
    return 0;
}
