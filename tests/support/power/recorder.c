/* Records every call that changes the tree of files below POWER_ROOT, in the file POWER_TRACE.

   It is loaded before the C library. A call and its record are one step under a lock, so that the order of the records
   is the order of the changes. A sync is not passed on to the disk: it takes POWER_SYNC_MICROSECONDS, and the model of
   the disk decides what it keeps. A call whose effect the model does not know is recorded as UNKNOWN, and the reader of
   the trace fails. tests/support/power/trace.py reads the records. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPENED = 'O', WRITTEN = 'W', TRUNCATED = 'T', SYNC_BEGUN = 'B', SYNC_ENDED = 'E', SYNCED_ALL = 'S',
       RENAMED = 'R', UNLINKED = 'U', LINKED = 'L', DIRECTORY_MADE = 'M', DIRECTORY_REMOVED = 'D', UNKNOWN = 'X' };

struct __attribute__((packed)) header {
    uint8_t kind;
    uint32_t first, second; /* lengths of what follows */
    uint64_t inode, number;
};

static char root[PATH_MAX];
static size_t root_length;
static int trace = -1;
static useconds_t sync_time;
static uint64_t syncs;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

static void lock(void) { pthread_mutex_lock(&order); }
static void unlock(void) { pthread_mutex_unlock(&order); }

__attribute__((constructor)) static void begin(void) {
    const char *below = getenv("POWER_ROOT"), *file = getenv("POWER_TRACE"), *time = getenv("POWER_SYNC_MICROSECONDS");
    if (!below || !file) return;
    snprintf(root, sizeof root, "%s", below);
    root_length = strlen(root);
    sync_time = time ? (useconds_t)atoi(time) : 0;
    int opened = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    trace = fcntl(opened, F_DUPFD_CLOEXEC, 900); /* far from the numbers that programs close one by one */
    syscall(SYS_close, opened);
    if (trace < 0) abort();
    pthread_atfork(lock, unlock, unlock);
}

static void record(uint8_t kind, uint64_t inode, uint64_t number, const char *first, const void *second, size_t size) {
    int kept = errno;
    struct header header = {kind, first ? (uint32_t)strlen(first) : 0, (uint32_t)size, inode, number};
    struct iovec parts[3] = {{&header, sizeof header}, {(void *)first, header.first}, {(void *)second, size}};
    ssize_t whole = (ssize_t)(sizeof header + header.first + size);
    if (syscall(SYS_writev, trace, parts, 3) != whole) abort();
    errno = kept;
}

static void unknown(const char *call) { record(UNKNOWN, 0, 0, call, NULL, 0); }

/* --- which files */

/* The path of a name below the root, or NULL. */
static const char *below(const char *path) {
    if (trace < 0 || strncmp(path, root, root_length)) return NULL;
    if (path[root_length] == '/') return path + root_length + 1;
    return path[root_length] ? NULL : path + root_length;
}

static const char *path_of(int fd, char *buffer) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, buffer, PATH_MAX - 1);
    if (length < 0) return NULL;
    buffer[length] = 0;
    return buffer;
}

static const char *named(int directory, const char *path, char *buffer) {
    if (trace < 0 || !path) return NULL;
    if (path[0] == '/') return below(path);
    int kept = errno;
    char start[PATH_MAX];
    const char *base = directory == AT_FDCWD ? getcwd(start, sizeof start) : path_of(directory, start);
    errno = kept;
    if (!base || snprintf(buffer, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return NULL;
    return below(buffer);
}

/* The inode of an open file or directory below the root, or 0. */
static uint64_t inode_of(int fd) {
    struct stat found;
    char path[PATH_MAX];
    int kept = errno;
    uint64_t inode = 0;
    if (trace >= 0 && !fstat(fd, &found) && (S_ISREG(found.st_mode) || S_ISDIR(found.st_mode)))
        inode = path_of(fd, path) && below(path) ? found.st_ino : 0;
    errno = kept;
    return inode;
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* --- opening */

/* The recorded processes run on a machine that was started before this one. */
static const char *boot_id(const char *path) {
    const char *other = getenv("POWER_BOOT_ID");
    return other && path && !strcmp(path, "/proc/sys/kernel/random/boot_id") ? other : path;
}

static void opened(int fd, const char *path, int flags) {
    struct stat found;
    if (fd < 0) return;
    if (fstat(fd, &found)) abort();
    int writes = (flags & O_ACCMODE) != O_RDONLY;
    if ((flags & O_TMPFILE) == O_TMPFILE || (writes && flags & (O_DIRECT | O_SYNC | O_DSYNC))) unknown("open with flags");
    record(OPENED, found.st_ino, flags & O_TRUNC ? 1 : 0, path, NULL, 0);
}

static mode_t mode_of(int flags, va_list more) {
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(more, mode_t) : 0;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        va_list more; va_start(more, flags); mode_t mode = mode_of(flags, more); va_end(more); \
        char buffer[PATH_MAX]; const char *inside = named(AT_FDCWD, path, buffer); \
        if (!inside) return real(boot_id(path), flags, mode); \
        lock(); int fd = real(path, flags, mode); opened(fd, inside, flags); unlock(); \
        return fd; \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int directory, const char *path, int flags, ...) { \
        REAL(name); \
        va_list more; va_start(more, flags); mode_t mode = mode_of(flags, more); va_end(more); \
        char buffer[PATH_MAX]; const char *inside = named(directory, path, buffer); \
        if (!inside) return real(directory, boot_id(path), flags, mode); \
        lock(); int fd = real(directory, path, flags, mode); opened(fd, inside, flags); unlock(); \
        return fd; \
    }
OPENAT(openat)
OPENAT(openat64)

int creat(const char *path, mode_t mode) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return open64(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

/* Streams write without a call that could be seen here. Only RocksDB's LOG, which nobody reads, may be one. */
#define FOPEN(name) \
    FILE *name(const char *path, const char *mode) { \
        REAL(name); \
        char buffer[PATH_MAX]; const char *inside = named(AT_FDCWD, path, buffer); \
        if (!inside || (mode[0] == 'r' && !strchr(mode, '+'))) return real(path, mode); \
        const char *name_ = strrchr(inside, '/'); \
        if (strcmp(name_ ? name_ + 1 : inside, "LOG")) unknown("fopen to write"); \
        lock(); FILE *file = real(path, mode); \
        if (file) opened(fileno(file), inside, mode[0] == 'w' ? O_TRUNC : 0); \
        unlock(); \
        return file; \
    }
FOPEN(fopen)
FOPEN(fopen64)

/* --- contents */

static void written(int fd, uint64_t inode, ssize_t size, const void *data) {
    if (size > 0) record(WRITTEN, inode, (uint64_t)(lseek(fd, 0, SEEK_CUR) - size), NULL, data, (size_t)size);
}

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    uint64_t inode = inode_of(fd);
    if (!inode) return real(fd, data, size);
    lock(); ssize_t done = real(fd, data, size); written(fd, inode, done, data); unlock();
    return done;
}

#define PWRITE(name, offset) \
    ssize_t name(int fd, const void *data, size_t size, offset at) { \
        REAL(name); \
        uint64_t inode = inode_of(fd); \
        if (!inode) return real(fd, data, size, at); \
        lock(); ssize_t done = real(fd, data, size, at); \
        if (done > 0) record(WRITTEN, inode, (uint64_t)at, NULL, data, (size_t)done); \
        unlock(); \
        return done; \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

/* Vectors are written part by part: a caller has to expect that fewer bytes are written than it asked for. */
ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    if (!inode_of(fd)) return real(fd, parts, count);
    for (int n = 0; n < count; n++)
        if (parts[n].iov_len) return write(fd, parts[n].iov_base, parts[n].iov_len);
    return 0;
}

#define PWRITEV(name, offset) \
    ssize_t name(int fd, const struct iovec *parts, int count, offset at) { \
        REAL(name); \
        if (!inode_of(fd)) return real(fd, parts, count, at); \
        for (int n = 0; n < count; n++) \
            if (parts[n].iov_len) return pwrite(fd, parts[n].iov_base, parts[n].iov_len, (off_t)at); \
        return 0; \
    }
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

#define TRUNCATE(name, offset) \
    int name(int fd, offset size) { \
        REAL(name); \
        uint64_t inode = inode_of(fd); \
        if (!inode) return real(fd, size); \
        lock(); int failed = real(fd, size); \
        if (!failed) record(TRUNCATED, inode, (uint64_t)size, NULL, NULL, 0); \
        unlock(); \
        return failed; \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

static void grown(int fd, uint64_t inode, uint64_t before) {
    struct stat found;
    if (!fstat(fd, &found) && (uint64_t)found.st_size != before) record(TRUNCATED, inode, (uint64_t)found.st_size, NULL, NULL, 0);
}

static uint64_t size_of(int fd) {
    struct stat found;
    return fstat(fd, &found) ? 0 : (uint64_t)found.st_size;
}

#define FALLOCATE(name, offset) \
    int name(int fd, int mode, offset at, offset size) { \
        REAL(name); \
        uint64_t inode = inode_of(fd); \
        if (!inode) return real(fd, mode, at, size); \
        if (mode & ~1) unknown(#name); /* 1: the size is kept */ \
        lock(); uint64_t before = size_of(fd); int failed = real(fd, mode, at, size); grown(fd, inode, before); unlock(); \
        return failed; \
    }
FALLOCATE(fallocate, off_t)
FALLOCATE(fallocate64, off64_t)

#define POSIX_FALLOCATE(name, offset) \
    int name(int fd, offset at, offset size) { \
        REAL(name); \
        uint64_t inode = inode_of(fd); \
        if (!inode) return real(fd, at, size); \
        lock(); uint64_t before = size_of(fd); int failed = real(fd, at, size); grown(fd, inode, before); unlock(); \
        return failed; \
    }
POSIX_FALLOCATE(posix_fallocate, off_t)
POSIX_FALLOCATE(posix_fallocate64, off64_t)

/* --- syncs */

static int synced(uint64_t inode) {
    lock(); uint64_t number = ((uint64_t)getpid() << 32) + ++syncs; record(SYNC_BEGUN, inode, number, NULL, NULL, 0); unlock();
    if (sync_time) usleep(sync_time);
    lock(); record(SYNC_ENDED, inode, number, NULL, NULL, 0); unlock();
    return 0;
}

int fsync(int fd) { REAL(fsync); uint64_t inode = inode_of(fd); return inode ? synced(inode) : real(fd); }
int fdatasync(int fd) { REAL(fdatasync); uint64_t inode = inode_of(fd); return inode ? synced(inode) : real(fd); }
int syncfs(int fd) {
    REAL(syncfs);
    if (!inode_of(fd)) return real(fd);
    lock(); record(SYNCED_ALL, 0, 0, NULL, NULL, 0); unlock();
    return 0;
}

/* --- names */

static int changed(uint8_t kind, int failed, const char *first, const char *second) {
    if (!failed) record(kind, 0, 0, first, second, second ? strlen(second) : 0);
    return failed;
}

#define ONE(name, kind) \
    int name(const char *path) { \
        REAL(name); \
        char buffer[PATH_MAX]; const char *inside = named(AT_FDCWD, path, buffer); \
        if (!inside) return real(path); \
        lock(); int failed = changed(kind, real(path), inside, NULL); unlock(); \
        return failed; \
    }
ONE(unlink, UNLINKED)
ONE(rmdir, DIRECTORY_REMOVED)

int remove(const char *path) {
    struct stat found;
    return !lstat(path, &found) && S_ISDIR(found.st_mode) ? rmdir(path) : unlink(path);
}

int unlinkat(int directory, const char *path, int flags) {
    REAL(unlinkat);
    char buffer[PATH_MAX]; const char *inside = named(directory, path, buffer);
    if (!inside) return real(directory, path, flags);
    lock();
    int failed = changed(flags & AT_REMOVEDIR ? DIRECTORY_REMOVED : UNLINKED, real(directory, path, flags), inside, NULL);
    unlock();
    return failed;
}

int mkdirat(int directory, const char *path, mode_t mode) {
    REAL(mkdirat);
    char buffer[PATH_MAX]; const char *inside = named(directory, path, buffer);
    if (!inside) return real(directory, path, mode);
    lock(); int failed = changed(DIRECTORY_MADE, real(directory, path, mode), inside, NULL); unlock();
    return failed;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
    REAL(renameat2);
    char one[PATH_MAX], two[PATH_MAX];
    const char *first = named(from_directory, from, one), *second = named(to_directory, to, two);
    if (!first && !second) return real(from_directory, from, to_directory, to, flags);
    if (!first || !second || flags & ~(unsigned)RENAME_NOREPLACE) unknown("rename");
    lock();
    int failed = changed(RENAMED, real(from_directory, from, to_directory, to, flags), first, second);
    unlock();
    return failed;
}
int renameat(int from_directory, const char *from, int to_directory, const char *to) {
    return renameat2(from_directory, from, to_directory, to, 0);
}
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags) {
    REAL(linkat);
    char one[PATH_MAX], two[PATH_MAX];
    const char *first = named(from_directory, from, one), *second = named(to_directory, to, two);
    if (!first && !second) return real(from_directory, from, to_directory, to, flags);
    if (!first || !second) unknown("link");
    lock(); int failed = changed(LINKED, real(from_directory, from, to_directory, to, flags), first, second); unlock();
    return failed;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

/* A process that ends itself leaves no call without its record. */
void _exit(int status) { REAL(_exit); if (trace >= 0) lock(); real(status); __builtin_unreachable(); }

/* --- what the model does not know */

#define NEVER_AT(name) \
    int name(const char *target, int directory, const char *path) { \
        REAL(name); \
        char buffer[PATH_MAX]; \
        if (named(directory, path, buffer)) unknown(#name); \
        return real(target, directory, path); \
    }
NEVER_AT(symlinkat)
int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }

#define NEVER_MAPPED(name, offset) \
    void *name(void *address, size_t size, int protection, int flags, int fd, offset at) { \
        REAL(name); \
        if (fd >= 0 && protection & PROT_WRITE && (flags & MAP_TYPE) != MAP_PRIVATE && inode_of(fd)) unknown(#name); \
        return real(address, size, protection, flags, fd, at); \
    }
NEVER_MAPPED(mmap, off_t)
NEVER_MAPPED(mmap64, off64_t)

#define NEVER_TRUNCATED(name, offset) \
    int name(const char *path, offset size) { \
        REAL(name); \
        char buffer[PATH_MAX]; \
        if (named(AT_FDCWD, path, buffer)) unknown(#name); \
        return real(path, size); \
    }
NEVER_TRUNCATED(truncate, off_t)
NEVER_TRUNCATED(truncate64, off64_t)

#define NEVER_SENT(name, offset) \
    ssize_t name(int to, int from, offset *at, size_t size) { \
        REAL(name); \
        if (inode_of(to)) unknown(#name); \
        return real(to, from, at, size); \
    }
NEVER_SENT(sendfile, off_t)
NEVER_SENT(sendfile64, off64_t)

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t size, unsigned flags) {
    REAL(copy_file_range);
    if (inode_of(to)) unknown("copy_file_range");
    return real(from, from_at, to, to_at, size, flags);
}
