/* A fault injector inside one process: it sees every system call that changes files below one folder,
 * counts them, logs them with their data, and on request kills the process at call N or makes N fail.
 *
 * It is no LD_PRELOAD library: safetensors renames by a raw system call that no wrapper of libc would see. A
 * seccomp filter turns the calls of interest into SIGSYS instead, and the handler carries them out itself,
 * marked by MAGIC as a sixth argument (they have five at most), which the filter lets pass. A
 * lock keeps calls of several threads in the order in which the log has them. Syncs are noted but not carried
 * out: who dies finds the cache of the kernel intact, and for power cuts there is disk.py.
 *
 * Linux on x86-64 or AArch64. Python: ctypes.CDLL(path).arm(folder, mode, number, errno, log).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#define MAGIC 0x61A55L
#define ROOM 2048

enum { WATCH, KILL_BEFORE, KILL_AFTER, KILL_WITHIN, FAIL_ONCE, DISK_FULL }; /* as in crash.py */

#if defined(__x86_64__)
#define REGISTER(u, i) ((u)->uc_mcontext.gregs[(const int[]){REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8}[i]])
#define RESULT(u) ((u)->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
#define REGISTER(u, i) ((u)->uc_mcontext.regs[i])
#define RESULT(u) ((u)->uc_mcontext.regs[0])
#else
#error "only for x86-64 and AArch64"
#endif

/* One row a system call: where its descriptor or folder, its path and its second path are among the arguments
 * (-1: it has none). "other" are calls that the model of the disk does not know; the tests refuse them. */
static const struct call { long number; const char *kind; int fd, path, fd2, path2; } CALLS[] = {
#ifdef SYS_open
    {SYS_open, "open", -1, 0, -1, -1},     {SYS_creat, "other", -1, 0, -1, -1},
    {SYS_rename, "rename", -1, 0, -1, 1},  {SYS_link, "other", -1, 0, -1, 1},
    {SYS_mkdir, "mkdir", -1, 0, -1, -1},   {SYS_rmdir, "rmdir", -1, 0, -1, -1},
    {SYS_unlink, "unlink", -1, 0, -1, -1}, {SYS_symlink, "other", -1, 1, -1, -1},
#endif
#ifdef SYS_renameat
    {SYS_renameat, "rename", 0, 1, 2, 3},
#endif
    {SYS_renameat2, "rename", 0, 1, 2, 3}, {SYS_openat, "open", 0, 1, -1, -1},
    {SYS_mkdirat, "mkdir", 0, 1, -1, -1},  {SYS_unlinkat, "unlink", 0, 1, -1, -1},
    {SYS_linkat, "other", 0, 1, 2, 3},     {SYS_symlinkat, "other", 1, 2, -1, -1},
    {SYS_write, "write", 0, -1, -1, -1},   {SYS_pwrite64, "write", 0, -1, -1, -1},
    {SYS_writev, "write", 0, -1, -1, -1},  {SYS_pwritev, "other", 0, -1, -1, -1},
    {SYS_fsync, "sync", 0, -1, -1, -1},    {SYS_fdatasync, "sync", 0, -1, -1, -1},
    {SYS_fallocate, "other", 0, -1, -1, -1}, {SYS_ftruncate, "truncate", 0, -1, -1, -1},
    {SYS_sendfile, "other", 0, -1, -1, -1},
};
enum { N_CALLS = sizeof CALLS / sizeof *CALLS };

static char root[ROOM];
static int mode, error_number, log_descriptor = -1;
static long at, count;
static char locked;

static long untrapped(long number, const long *a) {
    return syscall(number, a[0], a[1], a[2], a[3], a[4], MAGIC);
}

static void lock(void) {
    while (__atomic_test_and_set(&locked, __ATOMIC_ACQUIRE)) sched_yield();
}

static void unlock(void) { __atomic_clear(&locked, __ATOMIC_RELEASE); }

static void die(void) { syscall(SYS_kill, getpid(), SIGKILL); }

static void record(const void *data, size_t length) {
    const long a[5] = {log_descriptor, (long)data, (long)length};
    if (log_descriptor >= 0 && length) untrapped(SYS_write, a);
}

/* The absolute path of a descriptor, or of a path as seen from a descriptor. */
static void locate(char *into, int fd, const char *path) {
    char link[64];
    ssize_t length = 0;
    into[0] = 0;
    if (path && path[0] == '/') {
        snprintf(into, ROOM, "%s", path);
        return;
    }
    if (fd == AT_FDCWD) {
        if (getcwd(into, ROOM)) length = (ssize_t)strlen(into);
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        length = readlink(link, into, ROOM - 1);
        into[length < 0 ? 0 : length] = 0;
    }
    if (path && length > 0) snprintf(into + length, (size_t)(ROOM - length), "/%s", path);
}

static void locate_argument(char *into, const long *a, int fd, int path) {
    locate(into, fd < 0 ? AT_FDCWD : (int)a[fd], path < 0 ? NULL : (const char *)a[path]);
}

static int below_root(const char *path) {
    size_t length = strlen(root);
    return length && !strncmp(path, root, length) && (path[length] == '/' || !path[length]);
}

static long offset_of(long number, const long *a) {
    struct stat status;
    if (number == SYS_pwrite64) return a[3];
    if (fcntl((int)a[0], F_GETFL) & O_APPEND) return fstat((int)a[0], &status) ? -1 : status.st_size;
    return lseek((int)a[0], 0, SEEK_CUR);
}

static long half_written(long number, const long *a) {
    const struct iovec *parts = (const struct iovec *)a[1];
    long half[5] = {a[0], a[1], a[2] / 2, a[3]};
    if (number == SYS_writev) half[1] = (long)parts[0].iov_base, half[2] = (long)parts[0].iov_len / 2;
    return untrapped(number == SYS_writev ? SYS_write : number, half);
}

/* kind, result, value (offset of a write, flags of an open, size of a truncation), bytes of data, two paths. */
static void log_call(const struct call *c, const long *a, long value, long result, const char *p,
                     const char *q) {
    char line[2 * ROOM + 128];
    int write = !strcmp(c->kind, "write");
    long bytes = write && result > 0 ? result : 0, left = bytes;
    int length = snprintf(line, sizeof line, "%s\t%ld\t%ld\t%ld\t%s\t%s\n", c->kind, result, value, bytes,
                          p, q);
    record(line, (size_t)length);
    if (c->number != SYS_writev) {
        record((const void *)a[1], (size_t)bytes);
        return;
    }
    for (const struct iovec *part = (const struct iovec *)a[1]; left > 0; part++) {
        size_t taken = part->iov_len < (size_t)left ? part->iov_len : (size_t)left;
        record(part->iov_base, taken);
        left -= (long)taken;
    }
}

static long carry_out(const struct call *c, const long *a) {
    char path[ROOM], path2[ROOM] = "";
    int write = !strcmp(c->kind, "write"), open = !strcmp(c->kind, "open");
    int flags = open ? (int)a[c->path + 1] : 0;
    long result = 0, value = flags;
    locate_argument(path, a, c->fd, c->path);
    if (c->path2 >= 0) locate_argument(path2, a, c->fd2, c->path2);
    if ((open && !(flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))) || !below_root(path)) goto pass;
    lock();
    if (write) value = offset_of(c->number, a);
    if (c->number == SYS_ftruncate) value = a[1];
    if (c->number == SYS_unlinkat && (a[2] & AT_REMOVEDIR)) value = 1;
    long mine = ++count;
    int now = mine == at, needs_space = write || (open && (flags & O_CREAT)) || !strcmp(c->kind, "mkdir");
    if (now && mode == KILL_WITHIN && write) half_written(c->number, a);
    if (now && (mode == KILL_BEFORE || mode == KILL_WITHIN)) die();
    if ((now && mode == FAIL_ONCE) || (mine >= at && mode == DISK_FULL && needs_space)) result = -error_number;
    if (!result && strcmp(c->kind, "sync")) {
        result = untrapped(c->number, a);
        if (result < 0) result = -errno;
    }
    log_call(c, a, value, result, path, path2);
    if (now && mode == KILL_AFTER) die();
    unlock();
    return result;
pass:
    result = strcmp(c->kind, "sync") ? untrapped(c->number, a) : 0;
    return result < 0 ? -errno : result;
}

static void on_call(int signal, siginfo_t *info, void *context) {
    ucontext_t *u = context;
    int before = errno;
    long a[5];
    (void)signal;
    for (int i = 0; i < 5; i++) a[i] = (long)REGISTER(u, i);
    for (int i = 0; i < N_CALLS; i++)
        if (CALLS[i].number == info->si_syscall) RESULT(u) = carry_out(&CALLS[i], a);
    errno = before;
}

/* Writes a line of its own into the log: what the program has been told at this point. */
void mark(const char *text) {
    char line[ROOM];
    size_t length = (size_t)snprintf(line, sizeof line, "mark\t0\t0\t0\t%s\t\n", text);
    lock();
    record(line, length);
    unlock();
}

long calls(void) { return count; }

static struct sock_filter load(size_t offset) {
    return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset);
}

/* Skips `yes` instructions where what was loaded is `value`, otherwise `no`. */
static struct sock_filter equals(long value, int yes, int no) {
    return (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no);
}

static struct sock_filter answer(unsigned action) {
    return (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
}

/* Starts the watch, once a process. Returns 0, or the errno of what the kernel refused. */
int arm(const char *folder, int how, long number, int error, const char *log) {
    struct sock_filter filter[6 + N_CALLS];
    struct sock_fprog program = {.len = 6 + N_CALLS, .filter = filter};
    struct sigaction action = {.sa_sigaction = on_call, .sa_flags = SA_SIGINFO};
    int n = 0;
    snprintf(root, sizeof root, "%s", folder);
    mode = how, at = number, error_number = error, count = 0;
    if (log[0]) log_descriptor = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    filter[n++] = load(offsetof(struct seccomp_data, args[5]));
    filter[n++] = equals(MAGIC, 0, 1);
    filter[n++] = answer(SECCOMP_RET_ALLOW);
    filter[n++] = load(offsetof(struct seccomp_data, nr));
    for (int i = 0; i < N_CALLS; i++) filter[n++] = equals(CALLS[i].number, N_CALLS - i, 0); /* to the trap */
    filter[n++] = answer(SECCOMP_RET_ALLOW);
    filter[n++] = answer(SECCOMP_RET_TRAP);
    if (sigaction(SIGSYS, &action, NULL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return errno;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) ? errno : 0;
}
