/* SOURCES: fs/ramfs.c fs/ramfs_dir.c fs/ramfs_file.c fs/pagetree.c fs/erofs.c fs/erofs_dir.c fs/vnode.c sched/rwlock.c fs/path.c fs/vfs.c fs/dir_file.c fs/file.c fs/fd.c fs/poll.c fs/pipe.c kernel/linux/open.c kernel/linux/read_write.c kernel/linux/dir.c kernel/linux/stat.c kernel/linux/attr.c kernel/linux/truncate.c kernel/linux/fcntl.c tests/unit/host/host.c */
/* Files and directories against a model: the host's own file system. The same random calls go to our system calls and to the host's, in an empty
   folder; results, errors, data and listings must be equal. First on a plain ramfs; then the host's folder is packed into an EROFS
   image, which becomes the lower layer, and the history goes on. Last, paths against a table. */
#include <asm/stat.h>
#include <asm/unistd.h>
#include <fs/file.h>
#include <fs/ramfs.h>
#include <fs/vfs.h>
#include <kernel/print.h>
#include <kernel/random.h>
#include <kernel/string.h>
#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include "host/host.h"
#include "tap.h"

long syscall(long n, ...);
int *__errno_location(void);
char *mkdtemp(char *template);

long sys_open(), sys_close(), sys_read(), sys_write(), sys_pread64(), sys_pwrite64(), sys_lseek(), sys_ftruncate(), sys_truncate(),
    sys_mkdir(), sys_rmdir(), sys_unlink(), sys_rename(), sys_renameat2(), sys_link(), sys_symlink(), sys_readlink(), sys_stat(),
    sys_lstat(), sys_fstat(), sys_chmod(), sys_getdents64(), sys_fallocate(), sys_getcwd(), sys_chdir(), sys_access(), sys_openat(),
    sys_unlinkat();

#define HOST(name, ...) host_result(syscall(__NR_##name, __VA_ARGS__))
static long host_result(long r) { return r < 0 ? -*__errno_location() : r; }

static uint32_t rnd(uint32_t n) { return (uint32_t)(random_u64() >> 20) % n; }

static char context[300];
static bool same = true;

/* One comparison; the first difference of a run is reported. */
static void expect(long ours, long hosts, const char *what)
{
    if (ours == hosts || !same)
        return;
    same = false;
    printf("# %s: %s: ours %ld, the host's %ld\n", context, what, ours, hosts);
}

/* ---- random arguments ---- */

static void random_path(char *out)
{
    static const char *const names[] = {"a", "b", "c", "dir", "long-name-of-a-file", "l"};
    static const char *const odd[] = {".", "..", "/", "x/"};
    unsigned depth = 1 + rnd(3);
    int level = 0;
    out[0] = 0;
    for (unsigned i = 0; i < depth; i++) {
        if (i)
            strlcpy(out + strlen(out), "/", 2);
        const char *n = names[rnd(ARRAY_SIZE(names))];
        if (rnd(20) == 0 && i > 0)
            n = odd[rnd(2)];
        level += n[0] == '.' && n[1] ? -1 : n[0] != '.';
        if (level < 0)
            n = "a", level = 1;
        strlcpy(out + strlen(out), n, 100);
    }
    if (rnd(25) == 0)
        strlcpy(out + strlen(out), "/", 2);
}

#define SLOTS 6
static int ours[SLOTS], hosts[SLOTS]; /* open descriptors; -1: none */
static char buf_a[70000], buf_b[70000];

static void open_both(unsigned s, const char *path)
{
    static const int access[] = {O_RDONLY, O_WRONLY, O_RDWR};
    int flags = access[rnd(3)] | (rnd(2) ? O_CREAT : 0) | (rnd(8) ? 0 : O_EXCL) | (rnd(6) ? 0 : O_TRUNC) |
                (rnd(6) ? 0 : O_APPEND) | (rnd(8) ? 0 : O_NOFOLLOW) | (rnd(12) ? 0 : O_DIRECTORY);
    if ((flags & O_DIRECTORY && flags & O_CREAT) || (flags & O_EXCL && !(flags & O_CREAT)))
        return; /* kernels differ */
    if (ours[s] >= 0) {
        expect(sys_close(ours[s]), HOST(close, hosts[s]), "close");
        ours[s] = hosts[s] = -1;
    }
    snprintf(context, sizeof(context), "open %s flags 0x%x", path, flags);
    long a = sys_open(path, flags, 0644), b = HOST(open, path, flags, 0644);
    expect(a < 0 ? a : 0, b < 0 ? b : 0, "result");
    ours[s] = a < 0 || b < 0 ? -1 : (int)a;
    hosts[s] = a < 0 || b < 0 ? -1 : (int)b;
}

static void compare_stat(long r_ours, const struct stat *x, long r_hosts, const struct stat *y)
{
    expect(r_ours, r_hosts, "stat");
    if (r_ours || r_hosts)
        return;
    expect((long)x->st_mode, (long)y->st_mode, "mode");
    if ((x->st_mode & S_IFMT) == S_IFDIR)
        return;
    expect(x->st_size, y->st_size, "size");
}

static void file_op(unsigned s)
{
    struct stat x, y;
    int a = ours[s], b = hosts[s];
    unsigned n = rnd(8) ? rnd(6000) : rnd(sizeof(buf_a));
    long at = rnd(12) ? (long)rnd(40000) : (long)rnd(3000000);
    if (a < 0 || sys_fstat(a, &x) < 0 || (x.st_mode & S_IFMT) == S_IFDIR)
        return; /* positions of directories are the file system's own */
    for (unsigned i = 0; i < n; i++)
        buf_a[i] = (char)(i * 7 + n);
    unsigned op = rnd(10);
    snprintf(context, sizeof(context), "file operation %u at %ld, %u bytes", op, at, n);
    switch (op) {
    case 0: expect(sys_write(a, buf_a, (size_t)n), HOST(write, b, buf_a, (size_t)n), "write"); break;
    case 1: expect(sys_pwrite64(a, buf_a, (size_t)n, at), HOST(pwrite64, b, buf_a, (size_t)n, at), "pwrite"); break;
    case 2:
    case 3:
    case 4: {
        memset(buf_a, 1, n);
        memset(buf_b, 1, n);
        long r = op == 2 ? sys_read(a, buf_a, (size_t)n) : sys_pread64(a, buf_a, (size_t)n, at);
        expect(r, op == 2 ? HOST(read, b, buf_b, (size_t)n) : HOST(pread64, b, buf_b, (size_t)n, at), "read");
        if (r > 0)
            expect(memcmp(buf_a, buf_b, n), 0, "data");
        break;
    }
    case 5: expect(sys_lseek(a, at, 0), HOST(lseek, b, at, 0), "lseek");
            break;
    case 6: expect(sys_lseek(a, -at, 1) < 0, HOST(lseek, b, -at, 1) < 0, "lseek back"); break;
    case 7: expect(sys_ftruncate(a, at), HOST(ftruncate, b, at), "ftruncate"); break;
    case 8: {
        long p = sys_fstat(a, &x), q = HOST(fstat, b, &y);
        compare_stat(p, &x, q, &y);
        break;
    }
    case 9: {
        int mode = rnd(2) ? FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE : 0;
        long q = HOST(fallocate, b, mode, at, (long)n + 1);
        if (q != -EOPNOTSUPP)
            expect(sys_fallocate(a, mode, at, (long)n + 1), q, "fallocate");
        break;
    }
    }
    expect(sys_lseek(a, 0l, 1), HOST(lseek, b, 0l, 1), "position after");
}

static void path_op(void)
{
    char p[400], q[400];
    struct stat x, y;
    random_path(p);
    random_path(q);
    unsigned op = rnd(13);
    snprintf(context, sizeof(context), "path operation %u on %s, %s", op, p, q);
    switch (op) {
    case 0: case 1: expect(sys_mkdir(p, 0755), HOST(mkdir, p, 0755), "mkdir"); break;
    case 2: expect(sys_rmdir(p), HOST(rmdir, p), "rmdir"); break;
    case 3: expect(sys_unlink(p), HOST(unlink, p), "unlink"); break;
    case 4: case 5: expect(sys_rename(p, q), HOST(rename, p, q), "rename"); break;
    case 6: expect(sys_link(p, q), HOST(link, p, q), "link"); break;
    case 7: expect(sys_symlink(p, q), HOST(symlink, p, q), "symlink"); break;
    case 8: {
        memset(buf_a, 0, 500);
        memset(buf_b, 0, 500);
        expect(sys_readlink(p, buf_a, 400), HOST(readlink, p, buf_b, 400), "readlink");
        expect(strcmp(buf_a, buf_b), 0, "target");
        break;
    }
    case 9: {
        long a = sys_stat(p, &x), b = HOST(stat, p, &y);
        compare_stat(a, &x, b, &y);
        break;
    }
    case 10: {
        long a = sys_lstat(p, &x), b = HOST(lstat, p, &y);
        compare_stat(a, &x, b, &y);
        break;
    }
    case 11: expect(sys_truncate(p, (off_t)777), HOST(truncate, p, (long)777), "truncate");
             break;
    case 12: {
        unsigned flags = rnd(2) ? RENAME_EXCHANGE : RENAME_NOREPLACE;
        long b = HOST(renameat2, AT_FDCWD, p, AT_FDCWD, q, flags);
        if (b != -EINVAL || strlen(p) == 0)
            expect(sys_renameat2(AT_FDCWD, p, AT_FDCWD, q, flags), b, "renameat2");
        break;
    }
    }
}

/* ---- whole trees ---- */

struct dirent64 {
    uint64_t ino;
    int64_t next;
    uint16_t reclen;
    uint8_t type;
    char name[];
};

/* The names of a folder in order, each followed by its type, in out. */
static long names_of(bool host, const char *path, char *out)
{
    static char raw[512];
    const char *names[200];
    unsigned char types[200];
    static char store[200][64];
    unsigned count = 0;
    int fd = (int)(host ? HOST(open, path, O_RDONLY | O_DIRECTORY) : sys_open(path, O_RDONLY | O_DIRECTORY, 0));
    if (fd < 0)
        return fd;
    for (;;) {
        long n = host ? HOST(getdents64, fd, raw, sizeof(raw)) : sys_getdents64(fd, raw, (unsigned)sizeof(raw));
        if (n <= 0)
            break;
        for (long at = 0; at < n && count < 200;) {
            struct dirent64 *d = (struct dirent64 *)(raw + at);
            unsigned i = count++;
            strlcpy(store[i], d->name, sizeof(store[i]));
            types[i] = d->type;
            at += d->reclen;
        }
    }
    (void)(host ? HOST(close, fd) : sys_close(fd));
    for (unsigned i = 0; i < count; i++)
        names[i] = store[i];
    for (unsigned i = 0; i < count; i++)
        for (unsigned j = i + 1; j < count; j++)
            if (strcmp(names[j], names[i]) < 0) {
                const char *t = names[i];
                names[i] = names[j];
                names[j] = t;
                unsigned char u = types[i];
                types[i] = types[j];
                types[j] = u;
            }
    for (unsigned i = 0; i < count; i++) {
        strlcpy(out, names[i], 64);
        out += strlen(out);
        *out++ = (char)('0' + types[i]);
    }
    *out = 0;
    return count;
}

static void compare_tree(const char *path, unsigned depth)
{
    static const char *const names[] = {"a", "b", "c", "dir", "long-name-of-a-file", "l"};
    char a[2000], b[2000], sub[300];
    snprintf(context, sizeof(context), "listing %s", path);
    expect(names_of(false, path, a), names_of(true, path, b), "entries");
    expect(strcmp(a, b), 0, "names");
    for (unsigned i = 0; depth < 4 && i < ARRAY_SIZE(names); i++) {
        struct stat x, y;
        snprintf(sub, sizeof(sub), "%s/%s", path, names[i]);
        snprintf(context, sizeof(context), "tree %s", sub);
        long p = sys_lstat(sub, &x), q = HOST(lstat, sub, &y);
        compare_stat(p, &x, q, &y);
        if (p || q)
            continue;
        if ((x.st_mode & S_IFMT) == S_IFDIR) {
            compare_tree(sub, depth + 1);
        } else if ((x.st_mode & S_IFMT) == S_IFREG) {
            int fa = (int)sys_open(sub, O_RDONLY, 0), fb = (int)HOST(open, sub, O_RDONLY);
            for (long n = 1; n > 0 && same;) {
                n = sys_read(fa, buf_a, sizeof(buf_a));
                expect(n, HOST(read, fb, buf_b, sizeof(buf_b)), "read");
                if (n > 0)
                    expect(memcmp(buf_a, buf_b, (size_t)n), 0, "data");
            }
            sys_close(fa);
            HOST(close, fb);
        }
    }
}

static bool history(unsigned steps)
{
    for (unsigned i = 0; i < steps && same; i++) {
        unsigned s = rnd(SLOTS);
        char p[400];
        random_path(p);
        switch (rnd(4)) {
        case 0: open_both(s, p); break;
        case 1: path_op(); break;
        default: file_op(s);
        }
        if (i % 2000 == 1999)
            compare_tree(".", 0);
    }
    compare_tree(".", 0);
    return same;
}

static void close_all(void)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        if (ours[i] >= 0) {
            sys_close(ours[i]);
            HOST(close, hosts[i]);
        }
        ours[i] = hosts[i] = -1;
    }
}

static void set_root(const struct erofs *lower)
{
    struct vnode *old = vfs_root;
    vfs_root = ramfs_new(lower);
    vfs_chdir("/");
    if (old) /* its tree is taken down: dir.parent makes no reference */
        vnode_put(old);
}

/* ---- paths ---- */

static long probe(const char *path)
{
    struct stat st;
    long r = sys_stat(path, &st);
    return r ? r : (long)(st.st_mode & S_IFMT);
}

static void test_paths(void)
{
    set_root(NULL);
    sys_mkdir("/d", 0755);
    sys_mkdir("/d/e", 0755);
    sys_close(sys_open("/d/f", O_CREAT | O_WRONLY, 0600));
    sys_symlink("e", "/d/rel");
    sys_symlink("/d/f", "/d/abs");
    sys_symlink("loop", "/d/loop");
    sys_symlink("missing", "/d/dangling");
    sys_symlink("../d/./rel/../f", "/d/twisted");
    static const struct {
        const char *path;
        long result;
    } table[] = {
        {"/", S_IFDIR}, {"//", S_IFDIR}, {"/.", S_IFDIR}, {"/..", S_IFDIR}, {"/../../d", S_IFDIR}, {"/d/", S_IFDIR},
        {"/d/f", S_IFREG}, {"/d/f/", -ENOTDIR}, {"/d/f/.", -ENOTDIR}, {"/d/f/x", -ENOTDIR}, {"//d///f", S_IFREG},
        {"/d/e/../f", S_IFREG}, {"/d/x", -ENOENT}, {"/x/../d", -ENOENT}, {"", -ENOENT}, {"d/f", S_IFREG},
        {"/d/rel", S_IFDIR}, {"/d/rel/", S_IFDIR}, {"/d/rel/..", S_IFDIR}, {"/d/abs", S_IFREG}, {"/d/abs/", -ENOTDIR},
        {"/d/loop", -ELOOP}, {"/d/loop/x", -ELOOP}, {"/d/dangling", -ENOENT}, {"/d/twisted", S_IFREG}, {"./d/./f", S_IFREG},
    };
    bool right = true;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (probe(table[i].path) != table[i].result) {
            printf("# %s: %ld instead of %ld\n", table[i].path, probe(table[i].path), table[i].result);
            right = false;
        }
    ok(right, "paths resolve as the table says");
    static char name[300], path[5000];
    memset(name, 'n', 256);
    ok(probe(name) == -ENAMETOOLONG, "a name of 256 bytes");
    name[255] = 0;
    ok(probe(name) == -ENOENT, "a name of 255 bytes");
    for (int i = 0; i < 4998; i += 2)
        memcpy(path + i, "d/", 2);
    ok(probe(path) == -ENAMETOOLONG, "a path of 5000 bytes");
    ok(sys_open("/d/dangling", O_CREAT | O_RDWR, 0600) >= 0 && probe("/d/missing") == S_IFREG, "O_CREAT through a dangling link");
    ok(sys_open("/d/abs", O_RDONLY | O_NOFOLLOW, 0) == -ELOOP, "O_NOFOLLOW");
    ok(sys_open("/d/f", O_RDONLY | O_DIRECTORY, 0) == -ENOTDIR, "O_DIRECTORY");
    ok(sys_open(NULL, O_RDONLY, 0) == -EFAULT && sys_open((char *)0xffff800000000000, O_RDONLY, 0) == -EFAULT, "bad pointers");
    char cwd[100];
    ok(sys_chdir("/d/rel") == 0 && sys_getcwd(cwd, sizeof(cwd)) == 5 && strcmp(cwd, "/d/e") == 0, "getcwd");
    ok(sys_getcwd(cwd, (size_t)4) == -ERANGE && probe("../f") == S_IFREG, "getcwd without room; relative paths");
    ok(sys_rmdir("/d/e") == 0 && sys_getcwd(cwd, sizeof(cwd)) == -ENOENT && probe("..") == -ENOENT &&
       sys_open("new", O_CREAT | O_RDWR, 0600) == -ENOENT, "a removed working directory");
    sys_chdir("/");
    int dirfd = (int)sys_open("/d", O_RDONLY | O_DIRECTORY, 0), ffd = (int)sys_open("/d/f", O_RDONLY, 0);
    ok(sys_openat(dirfd, "f", O_RDONLY, 0) >= 0 && sys_openat(ffd, "f", O_RDONLY, 0) == -ENOTDIR &&
       sys_openat(999, "f", O_RDONLY, 0) == -EBADF && sys_openat(999, "/d/f", O_RDONLY, 0) >= 0, "openat");
    fd_close_range(0, UINT32_MAX);
}

static void test_space(void)
{
    int fd = (int)sys_open("/big", O_CREAT | O_RDWR, 0600);
    host_set_free_bytes(1 << 20);
    ok(sys_write(fd, buf_a, (size_t)5000) == -ENOSPC, "no write into the reserve");
    host_set_free_bytes(UINT64_MAX);
    host_fail_allocation(3);
    long n = sys_write(fd, buf_a, (size_t)40000);
    host_fail_allocation(0);
    ok(n > 0 && n < 40000, "a write that runs out of memory is short");
    ok(sys_ftruncate(fd, (off_t)1 << 47) == 0 && sys_pwrite64(fd, "x", 1ul, ((off_t)1 << 47) + 5) == 1 &&
       sys_ftruncate(fd, (off_t)0) == 0, "a sparse file of 128 TiB");
    ok(sys_ftruncate(fd, (off_t)1 << 60) == -EFBIG, "too large");
    sys_close(fd);
}

int main(void)
{
    char folder[] = "/tmp/singlet-vfs-XXXXXX", command[400];
    if (!mkdtemp(folder))
        return 1;
    syscall(__NR_chdir, folder);
    syscall(__NR_umask, 022);
    syscall(__NR_chmod, folder, 0755);
    for (unsigned i = 0; i < SLOTS; i++)
        ours[i] = hosts[i] = -1;
    set_root(NULL);
    ok(history(60000), "a random history on ramfs is as on the host");
    close_all();

    snprintf(command, sizeof(command), "mkfs.erofs --quiet -x-1 -Eforce-inode-compact %s.img . 2>/dev/null >/dev/null", folder);
    if (same && host_run(command) == 0) {
        char image_path[100];
        size_t size;
        struct erofs fs;
        snprintf(image_path, sizeof(image_path), "%s.img", folder);
        void *image = host_read_file(image_path, &size);
        ok(erofs_open(&fs, image, size) == 0, "the image opens");
        set_root(&fs);
        compare_tree(".", 0);
        ok(same, "the tree shows through");
        ok(history(60000), "the history goes on over the image as on the host");
        close_all();
        set_root(NULL);
        host_free(image);
    } else {
        printf("# mkfs.erofs is missing: not tested over an image\n");
    }
    snprintf(command, sizeof(command), "rm -rf %s %s.img", folder, folder);
    test_paths();
    test_space();
    set_root(NULL);
    ok(host_run(command) == 0, "the host's folder is removed");
    return done();
}
