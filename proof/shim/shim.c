/* A library put before the C library: it records what a process does to files below one folder, in the
 * order in which it happens, and can end the process at a chosen call or let a call fail.
 *
 * Every call that changes a file or a name takes one lock for its whole length, so the order in the trace
 * is the order on the disk. A record is written after the call has succeeded. Whoever else appends to the
 * trace (a client that notes an answer) stands in the right order too, since each record is one write to a
 * file opened with O_APPEND.
 *
 * Built at test time: cc -shared -fPIC -O2 -o shim.so shim.c -lpthread
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
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

enum kind { CREATE = 1, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, MKDIR, RMDIR, LINK, SYNC_DIRECTORY, MARK, SYNC_ALL, ALARM, OPEN, ASK };

/* Shared with the test through a file; proof/shim/control.py has the same fields in the same order. */
struct control {
    uint64_t calls;      /* changing calls so far */
    uint64_t kill_at;    /* end the process before this call; 0 = never */
    uint64_t kill_torn;  /* a write that is to be killed first writes half of its sectors */
    uint64_t fail_kinds; /* bits 1 << kind of the calls that may fail */
    uint64_t fail_errno;
    uint64_t fail_after; /* let so many of them pass first */
    uint64_t fail_count; /* then let so many fail */
    uint64_t matched;    /* calls of those kinds so far */
    uint64_t failed;
};

struct head {
    uint32_t size; /* of the whole record */
    uint32_t kind;
    uint64_t file; /* inode */
    uint64_t offset;
    uint32_t path_size;
    uint32_t data_size; /* a write's bytes, or the target of a rename or link */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[PATH_MAX];
static size_t folder_size;
static int trace = -1;
static struct control *control;
static struct control no_control;

/* Inodes of files below the folder; open addressing, 0 = free. A stale number only costs a look. */
#define SLOTS (1 << 16)
static uint64_t tracked[SLOTS];
static dev_t device;

static int is_tracked(uint64_t inode) {
    for (uint64_t at = inode * 0x9E3779B97F4A7C15u >> 48; tracked[at]; at = (at + 1) & (SLOTS - 1))
        if (tracked[at] == inode) return 1;
    return 0;
}

static void track(uint64_t inode) {
    uint64_t at = inode * 0x9E3779B97F4A7C15u >> 48;
    for (; tracked[at]; at = (at + 1) & (SLOTS - 1))
        if (tracked[at] == inode) return;
    tracked[at] = inode;
}

static uint64_t inode_of(int fd) {
    struct stat found;
    if (fd < 0 || syscall(SYS_fstat, fd, &found) || found.st_dev != device || !is_tracked(found.st_ino)) return 0;
    return found.st_ino;
}

void proof_attach(const char *below, const char *trace_path, const char *control_path) {
    struct stat found;
    pthread_mutex_lock(&lock);
    if (trace >= 0) syscall(SYS_close, trace);
    memset(tracked, 0, sizeof tracked);
    snprintf(folder, sizeof folder, "%s", below);
    folder_size = strlen(folder);
    device = stat(folder, &found) ? 0 : found.st_dev;
    trace = -1;
    if (trace_path && *trace_path) {
        trace = syscall(SYS_openat, AT_FDCWD, trace_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        int high = syscall(SYS_fcntl, trace, F_DUPFD_CLOEXEC, 900); /* out of the way of limits on files */
        if (high >= 0) {
            syscall(SYS_close, trace);
            trace = high;
        }
    }
    control = &no_control;
    if (control_path && *control_path) {
        int fd = syscall(SYS_openat, AT_FDCWD, control_path, O_RDWR | O_CLOEXEC, 0);
        void *page = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        syscall(SYS_close, fd);
        if (page != MAP_FAILED) control = page;
    }
    pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void attach_from_environment(void) {
    const char *below = getenv("PROOF_FOLDER");
    control = &no_control;
    if (below) proof_attach(below, getenv("PROOF_TRACE"), getenv("PROOF_CONTROL"));
}

/* The path below the folder, NULL if it lies elsewhere or is SQLite's shared memory, which nothing recovers. */
static const char *below_folder(int at, const char *path, char *space) {
    if (!folder_size || !path) return NULL;
    if (path[0] == '/') {
        snprintf(space, PATH_MAX, "%s", path);
    } else {
        char base[PATH_MAX];
        if (at == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return NULL;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", at);
            ssize_t size = syscall(SYS_readlinkat, AT_FDCWD, link, base, sizeof base - 1);
            if (size < 0) return NULL;
            base[size] = 0;
        }
        size_t base_size = strlen(base);
        if (base_size + strlen(path) + 2 > PATH_MAX) return NULL;
        memcpy(space, base, base_size);
        space[base_size] = '/';
        strcpy(space + base_size + 1, path);
    }
    if (strncmp(space, folder, folder_size) || (space[folder_size] != '/' && space[folder_size])) return NULL;
    size_t size = strlen(space);
    if (size > 4 && !strcmp(space + size - 4, "-shm")) return NULL;
    return space[folder_size] ? space + folder_size + 1 : space + folder_size;
}

static void record(enum kind kind, uint64_t file, uint64_t offset, const char *path, const void *data, size_t size) {
    if (trace < 0) return;
    int kept = errno;
    size_t path_size = path ? strlen(path) : 0;
    struct head head = {sizeof head + path_size + size, kind, file, offset, path_size, size};
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)path, path_size}, {(void *)data, size}};
    if (syscall(SYS_writev, trace, parts, 3) != head.size) {
        static const char words[] = "proof: the trace can't be written\n";
        syscall(SYS_write, 2, words, sizeof words - 1);
        abort();
    }
    errno = kept;
}

/* Whether a call of this kind is to fail; errno is set. */
static int fails(enum kind kind) {
    if (!(control->fail_kinds >> kind & 1)) return 0;
    uint64_t number = ++control->matched;
    if (number <= control->fail_after || number > control->fail_after + control->fail_count) return 0;
    control->failed++;
    errno = control->fail_errno;
    return 1;
}

/* Count a call that changes something; end the process, or say that it fails (errno is set). */
static int due(enum kind kind) {
    if (++control->calls == control->kill_at) {
        syscall(SYS_kill, getpid(), SIGKILL);
        for (;;) pause();
    }
    return fails(kind);
}

static int dies_torn(void) { return control->kill_torn && control->calls + 1 == control->kill_at; }

/* --- opening --------------------------------------------------------------------------------------- */

static int open_below(int at, const char *path, int flags, mode_t mode) {
    char space[PATH_MAX];
    const char *name = below_folder(at, path, space);
    int writes = (flags & O_ACCMODE) != O_RDONLY;
    if (!name || (flags & O_TMPFILE) == O_TMPFILE) return syscall(SYS_openat, at, path, flags, mode);
    pthread_mutex_lock(&lock);
    if (fails(OPEN)) { /* opening changes nothing, so it is counted only where it creates */
        pthread_mutex_unlock(&lock);
        return -1;
    }
    struct stat found;
    int existed = !syscall(SYS_newfstatat, at, path, &found, 0);
    int creates = !existed && (flags & O_CREAT);
    int empties = existed && writes && (flags & O_TRUNC) && S_ISREG(found.st_mode) && found.st_size;
    int fd = -1;
    if (!((creates && due(CREATE)) || (empties && due(TRUNCATE)))) fd = syscall(SYS_openat, at, path, flags, mode);
    int kept = errno;
    if (fd >= 0 && !syscall(SYS_fstat, fd, &found)) {
        if (!device) device = found.st_dev;
        track(found.st_ino);
        if (creates) record(CREATE, found.st_ino, 0, name, NULL, 0);
        if (empties) record(TRUNCATE, found.st_ino, 0, NULL, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    errno = kept;
    return fd;
}

#define MODE_OF(flags, last) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, last); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...) { MODE_OF(flags, flags) return open_below(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags, flags) return open_below(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int at, const char *path, int flags, ...) { MODE_OF(flags, flags) return open_below(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE_OF(flags, flags) return open_below(at, path, flags | O_LARGEFILE, mode); }
int __open_2(const char *path, int flags) { return open_below(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return open_below(AT_FDCWD, path, flags, 0); }
int __openat_2(int at, const char *path, int flags) { return open_below(at, path, flags, 0); }
int __openat64_2(int at, const char *path, int flags) { return open_below(at, path, flags, 0); }
int creat(const char *path, mode_t mode) { return open_below(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return open_below(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

/* --- contents -------------------------------------------------------------------------------------- */

/* Half of a write, up to the border of a sector: no kernel and no disk leaves less of it. */
static size_t half_of(int fd, size_t size, int64_t offset) {
    int64_t at = offset < 0 ? syscall(SYS_lseek, fd, 0, SEEK_CUR) : offset;
    int64_t border = (at + (int64_t)size / 2) / 512 * 512;
    return border > at ? border - at : 0;
}

static ssize_t write_below(int fd, const void *data, size_t size, int64_t offset) {
    uint64_t file = inode_of(fd);
    if (!file) return offset < 0 ? syscall(SYS_write, fd, data, size) : syscall(SYS_pwrite64, fd, data, size, offset);
    pthread_mutex_lock(&lock);
    ssize_t done = -1;
    int torn = dies_torn();
    if (torn || !due(WRITE)) {
        size_t wanted = torn ? half_of(fd, size, offset) : size;
        done = !wanted ? 0 : offset < 0 ? syscall(SYS_write, fd, data, wanted) : syscall(SYS_pwrite64, fd, data, wanted, offset);
        if (done > 0) {
            int64_t at = offset < 0 ? syscall(SYS_lseek, fd, 0, SEEK_CUR) - done : offset;
            record(WRITE, file, at, NULL, data, done);
        }
        if (torn) due(WRITE);
    }
    int kept = errno;
    pthread_mutex_unlock(&lock);
    errno = kept;
    return done;
}

static ssize_t write_parts(int fd, const struct iovec *parts, int count, int64_t offset) {
    uint64_t file = inode_of(fd);
    if (!file) return offset < 0 ? syscall(SYS_writev, fd, parts, count) : syscall(SYS_pwritev, fd, parts, count, offset, 0);
    size_t size = 0;
    for (int number = 0; number < count; number++) size += parts[number].iov_len;
    char *whole = malloc(size ? size : 1), *at = whole;
    for (int number = 0; number < count; number++) at = mempcpy(at, parts[number].iov_base, parts[number].iov_len);
    ssize_t done = write_below(fd, whole, size, offset);
    free(whole);
    return done;
}

ssize_t write(int fd, const void *data, size_t size) { return write_below(fd, data, size, -1); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return write_below(fd, data, size, offset); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) { return write_below(fd, data, size, offset); }
ssize_t writev(int fd, const struct iovec *parts, int count) { return write_parts(fd, parts, count, -1); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) { return write_parts(fd, parts, count, offset); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) { return write_parts(fd, parts, count, offset); }
ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags) { (void)flags; return write_parts(fd, parts, count, offset); }
ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t offset, int flags) { (void)flags; return write_parts(fd, parts, count, offset); }

/* What the kernel copied by itself is read back. */
static ssize_t copied(int fd, uint64_t file, ssize_t done, int64_t at) {
    if (done > 0) {
        char *data = malloc(done);
        if (syscall(SYS_pread64, fd, data, done, at) == done) record(WRITE, file, at, NULL, data, done);
        else record(ALARM, file, at, "a copy that can't be read back", NULL, 0);
        free(data);
    }
    return done;
}

ssize_t sendfile(int out, int in, off_t *offset, size_t size) {
    uint64_t file = inode_of(out);
    if (!file) return syscall(SYS_sendfile, out, in, offset, size);
    pthread_mutex_lock(&lock);
    int64_t at = syscall(SYS_lseek, out, 0, SEEK_CUR);
    ssize_t done = due(WRITE) ? -1 : copied(out, file, syscall(SYS_sendfile, out, in, offset, size), at);
    pthread_mutex_unlock(&lock);
    return done;
}
ssize_t sendfile64(int out, int in, off64_t *offset, size_t size) { return sendfile(out, in, (off_t *)offset, size); }

ssize_t copy_file_range(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t size, unsigned flags) {
    uint64_t file = inode_of(out);
    if (!file) return syscall(SYS_copy_file_range, in, in_offset, out, out_offset, size, flags);
    pthread_mutex_lock(&lock);
    int64_t at = out_offset ? *out_offset : syscall(SYS_lseek, out, 0, SEEK_CUR);
    ssize_t done = due(WRITE) ? -1 : copied(out, file, syscall(SYS_copy_file_range, in, in_offset, out, out_offset, size, flags), at);
    pthread_mutex_unlock(&lock);
    return done;
}

static int resize(int fd, int64_t size) {
    uint64_t file = inode_of(fd);
    if (!file) return syscall(SYS_ftruncate, fd, size);
    pthread_mutex_lock(&lock);
    int done = due(TRUNCATE) ? -1 : syscall(SYS_ftruncate, fd, size);
    if (!done) record(TRUNCATE, file, size, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int fd, off_t size) { return resize(fd, size); }
int ftruncate64(int fd, off64_t size) { return resize(fd, size); }

static int resize_named(const char *path, int64_t size) {
    int fd = open_below(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0) return -1;
    int done = resize(fd, size), kept = errno;
    syscall(SYS_close, fd);
    errno = kept;
    return done;
}

int truncate(const char *path, off_t size) { return resize_named(path, size); }
int truncate64(const char *path, off64_t size) { return resize_named(path, size); }

static int allocate(int fd, int mode, int64_t offset, int64_t size) {
    uint64_t file = inode_of(fd);
    if (!file) return syscall(SYS_fallocate, fd, mode, offset, size);
    pthread_mutex_lock(&lock);
    struct stat before, after;
    int known = syscall(SYS_fstat, fd, &before);
    int done = due(WRITE) ? -1 : syscall(SYS_fallocate, fd, mode, offset, size);
    if (!done && (known || syscall(SYS_fstat, fd, &after))) record(ALARM, file, 0, "fallocate", NULL, 0);
    else if (!done && after.st_size != before.st_size) record(TRUNCATE, file, after.st_size, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int fallocate(int fd, int mode, off_t offset, off_t size) { return allocate(fd, mode, offset, size); }
int fallocate64(int fd, int mode, off64_t offset, off64_t size) { return allocate(fd, mode, offset, size); }
int posix_fallocate(int fd, off_t offset, off_t size) { return allocate(fd, 0, offset, size) ? errno : 0; }
int posix_fallocate64(int fd, off64_t offset, off64_t size) { return allocate(fd, 0, offset, size) ? errno : 0; }

static void *map(void *address, size_t size, int protection, int flags, int fd, int64_t offset) {
    uint64_t file = protection & PROT_WRITE && (flags & MAP_TYPE) != MAP_PRIVATE && !(flags & MAP_ANONYMOUS) ? inode_of(fd) : 0;
    if (file) {
        pthread_mutex_lock(&lock);
        record(ALARM, file, offset, "a file is written through memory", NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset) { return map(address, size, protection, flags, fd, offset); }
void *mmap64(void *address, size_t size, int protection, int flags, int fd, off64_t offset) { return map(address, size, protection, flags, fd, offset); }

/* --- syncing --------------------------------------------------------------------------------------- */

static int sync_below(long number, int fd) {
    struct stat found;
    uint64_t file = inode_of(fd);
    if (!file || syscall(SYS_fstat, fd, &found)) return syscall(number, fd);
    pthread_mutex_lock(&lock);
    int done = -1;
    enum kind kind = S_ISDIR(found.st_mode) ? SYNC_DIRECTORY : SYNC;
    if (!due(kind)) {
        char link[64], path[PATH_MAX];
        const char *name = NULL;
        if (kind == SYNC_DIRECTORY) {
            snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
            ssize_t size = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
            path[size < 0 ? 0 : size] = 0;
            char space[PATH_MAX];
            name = below_folder(AT_FDCWD, path, space);
            name = name ? strdup(name) : NULL;
        }
        done = 0; /* the trace is what is durable; a real sync would only take time */
        if (kind == SYNC || name) record(kind, file, 0, name, NULL, 0);
        free((void *)name);
    }
    int kept = errno;
    pthread_mutex_unlock(&lock);
    errno = kept;
    return done;
}

int fsync(int fd) { return sync_below(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_below(SYS_fdatasync, fd); }
int sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags) { return syscall(SYS_sync_file_range, fd, offset, size, flags); } /* promises nothing */

/* --- names ----------------------------------------------------------------------------------------- */

static int move_below(int from, const char *path, int to, const char *target, unsigned flags, enum kind kind) {
    char space[PATH_MAX], target_space[PATH_MAX];
    const char *name = below_folder(from, path, space), *target_name = below_folder(to, target, target_space);
    if (!name && !target_name)
        return kind == LINK ? syscall(SYS_linkat, from, path, to, target, flags) : syscall(SYS_renameat2, from, path, to, target, flags);
    pthread_mutex_lock(&lock);
    int done = -1;
    if (!due(kind)) {
        done = kind == LINK ? syscall(SYS_linkat, from, path, to, target, flags) : syscall(SYS_renameat2, from, path, to, target, flags);
        if (!done && name && target_name) record(kind, 0, 0, name, target_name, strlen(target_name));
        else if (!done) record(ALARM, 0, 0, "a file crosses the border of the folder", NULL, 0);
    }
    int kept = errno;
    pthread_mutex_unlock(&lock);
    errno = kept;
    return done;
}

int rename(const char *path, const char *target) { return move_below(AT_FDCWD, path, AT_FDCWD, target, 0, RENAME); }
int renameat(int from, const char *path, int to, const char *target) { return move_below(from, path, to, target, 0, RENAME); }
int renameat2(int from, const char *path, int to, const char *target, unsigned flags) { return move_below(from, path, to, target, flags, RENAME); }
int link(const char *path, const char *target) { return move_below(AT_FDCWD, path, AT_FDCWD, target, 0, LINK); }
int linkat(int from, const char *path, int to, const char *target, int flags) { return move_below(from, path, to, target, flags, LINK); }

static int ask_below(int at, const char *path, int mode, int flags) {
    char space[PATH_MAX];
    if (mode & W_OK && below_folder(at, path, space)) {
        pthread_mutex_lock(&lock);
        int refused = fails(ASK); /* asking changes nothing */
        int kept = errno;
        pthread_mutex_unlock(&lock);
        errno = kept;
        if (refused) return -1;
    }
    return flags ? syscall(SYS_faccessat2, at, path, mode, flags) : syscall(SYS_faccessat, at, path, mode);
}

int access(const char *path, int mode) { return ask_below(AT_FDCWD, path, mode, 0); }
int faccessat(int at, const char *path, int mode, int flags) { return ask_below(at, path, mode, flags); }

static int remove_below(int at, const char *path, int flags) {
    char space[PATH_MAX];
    const char *name = below_folder(at, path, space);
    if (!name) return syscall(SYS_unlinkat, at, path, flags);
    struct stat found; /* what is not there changes nothing, so it is no moment of its own */
    if (syscall(SYS_newfstatat, at, path, &found, AT_SYMLINK_NOFOLLOW)) return -1;
    enum kind kind = flags & AT_REMOVEDIR ? RMDIR : UNLINK;
    pthread_mutex_lock(&lock);
    int done = due(kind) ? -1 : syscall(SYS_unlinkat, at, path, flags);
    if (!done) record(kind, 0, 0, name, NULL, 0);
    int kept = errno;
    pthread_mutex_unlock(&lock);
    errno = kept;
    return done;
}

int unlink(const char *path) { return remove_below(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return remove_below(at, path, flags); }
int rmdir(const char *path) { return remove_below(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
    struct stat found;
    if (syscall(SYS_newfstatat, AT_FDCWD, path, &found, AT_SYMLINK_NOFOLLOW)) return -1;
    return remove_below(AT_FDCWD, path, S_ISDIR(found.st_mode) ? AT_REMOVEDIR : 0);
}

int mkdirat(int at, const char *path, mode_t mode) {
    char space[PATH_MAX];
    const char *name = below_folder(at, path, space);
    if (!name) return syscall(SYS_mkdirat, at, path, mode);
    pthread_mutex_lock(&lock);
    int done = due(MKDIR) ? -1 : syscall(SYS_mkdirat, at, path, mode);
    if (!done) record(MKDIR, 0, 0, name, NULL, 0);
    int kept = errno;
    pthread_mutex_unlock(&lock);
    errno = kept;
    return done;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
