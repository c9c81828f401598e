/* The read-only root file system in the image (apps/tests/rootfs) under the writable one: reading, mapping, copying up, whiteouts. */
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define LINES 400
#define LINE 38

static bool lines_good(const char *text)
{
    char want[64];
    for (int i = 0; i < LINES; i++) {
        snprintf(want, sizeof(want), "line %05d of a file that spans pages\n", i);
        if (memcmp(text + i * LINE, want, LINE))
            return false;
    }
    return true;
}

static void reading(void)
{
    static char text[LINES * LINE + 1];
    struct stat s;
    int fd = open("/share/nested/lines", O_RDONLY);
    check(fd >= 0, "opens");
    equal(fstat(fd, &s), 0, "fstat");
    equal(s.st_size, LINES * LINE, "size");
    equal(read(fd, text, sizeof(text)), LINES * LINE, "read whole");
    check(lines_good(text), "content");
    equal(pread(fd, text, LINE, 7 * LINE), LINE, "pread");
    check(!memcmp(text, "line 00007", 10), "at its place");
    close(fd);
    equal(readlink("/share/link", text, sizeof(text)), 8, "readlink");
    fd = open("/share/link", O_RDONLY);
    equal(read(fd, text, sizeof(text)), 14, "through the link");
    check(!memcmp(text, "read in place\n", 14), "its content");
    close(fd);
    fails(open("/share/nothing", O_RDONLY), ENOENT, "a name that is not there");
}

static void mapping(void)
{
    int fd = open("/share/nested/lines", O_RDONLY);
    char *a = mmap(NULL, LINES * LINE, PROT_READ, MAP_PRIVATE, fd, 0);
    check(a != MAP_FAILED && lines_good(a), "a private mapping shows the file");
    char *b = mmap(NULL, LINES * LINE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    check(b != MAP_FAILED && lines_good(b), "a writable one too");
    b[0] = 'X';
    check(a[0] == 'l' && b[1] == 'i', "a write makes a copy");
    char *c = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 4096);
    check(c != MAP_FAILED && !memcmp(c, a + 4096, 4096), "at an offset");
    munmap(a, LINES * LINE);
    munmap(b, LINES * LINE);
    munmap(c, 4096);
    close(fd);
}

static void changing(void)
{
    char text[32];
    int fd = open("/share/greeting", O_RDWR);
    check(fd >= 0, "opens for writing");
    equal(pwrite(fd, "READ", 4, 0), 4, "pwrite copies up");
    equal(pread(fd, text, sizeof(text), 0), 14, "read back");
    check(!memcmp(text, "READ in place\n", 14), "old and new together");
    close(fd);
    equal(unlink("/share/greeting"), 0, "unlink");
    fails(open("/share/greeting", O_RDONLY), ENOENT, "gone");
    fd = open("/share/greeting", O_CREAT | O_EXCL | O_RDWR, 0600);
    check(fd >= 0, "a new one of that name");
    equal(read(fd, text, sizeof(text)), 0, "is empty");
    close(fd);
    DIR *d = opendir("/share");
    int seen = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        seen += !strcmp(e->d_name, "greeting") + 10 * !strcmp(e->d_name, "nested") + 100 * !strcmp(e->d_name, "link");
    if (d)
        closedir(d);
    equal(seen, 111, "each name is listed once");
}

int main(void)
{
    if (!on_singlet()) {
        skip("the image's root file system is Singlet's");
        return 0;
    }
    run(reading);
    run(mapping);
    run(changing);
    return 0;
}
