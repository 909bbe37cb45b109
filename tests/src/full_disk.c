/* A disk that is full on command: loaded before libc, it refuses every write below $FULL_DISK with ENOSPC while the file
 * $FULL_DISK_FLAG exists. Needs no privileges, unlike a small file system, and hits database, images and logs alike. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int is_full(int fd)
{
    const char *disk = getenv("FULL_DISK"), *flag = getenv("FULL_DISK_FLAG");
    char link[64], path[4096];
    ssize_t length;

    if (!disk || !flag || access(flag, F_OK) != 0)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    if (strncmp(path, disk, strlen(disk)) != 0)
        return 0;
    errno = ENOSPC;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *from, size_t count)
{
    return is_full(fd) ? -1 : REAL(write)(fd, from, count);
}

ssize_t pwrite(int fd, const void *from, size_t count, off_t at)
{
    return is_full(fd) ? -1 : REAL(pwrite)(fd, from, count, at);
}

ssize_t pwrite64(int fd, const void *from, size_t count, off64_t at)
{
    return is_full(fd) ? -1 : REAL(pwrite64)(fd, from, count, at);
}

ssize_t writev(int fd, const struct iovec *from, int count)
{
    return is_full(fd) ? -1 : REAL(writev)(fd, from, count);
}
