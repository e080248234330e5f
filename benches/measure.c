/*
 * The tools of `benches/run`: what must be fast, or close to the kernel. Built by it, with gcc.
 *
 *   measure start ROUNDS INIT...     wall time in ns of `INIT -- /bin/true`, round robin; `-` is a bare /bin/true
 *   measure calls INIT               system calls of `INIT -- /bin/sleep 0.2` itself, exec and exit included; with a
 *                                    shorter command it would depend on chance which of them ends first
 *   measure pid1 INIT FILE           INIT as PID 1 over `measure worker FILE`; prints its pid, waits for it
 *   measure trace PID FILE           counts PID's system calls into FILE until it is killed
 *   measure orphans FILE KIND N      has the worker make N orphans: `lone`, `storm` or `flood`
 *   measure signals FILE PID N       sends N times SIGUSR1 to PID, prints each one's way to the command in ns
 *   measure storm FILE PID N         the same, while orphans die without a pause
 *   measure crowd FILE PROCS N INIT  N times INIT as PID 1 over a command that only waits, in the cgroup of PROCS (its
 *                                    cgroup.procs); prints a line when all of them run. `-` is the command without an init
 *
 * INIT is a program and, after spaces, the options that it is to be given. Every init is PID 1 of a PID namespace, as
 * in a container. FILE is memory that these processes share.
 *
 * Sender, init and command share one CPU, and the orphan maker has another where there is one. Left to the
 * scheduler, the same init answers in 5 µs or in 40, by whether an idle CPU had to be woken, and keeps to the
 * one that it fell into: a figure of the scheduler's, not of the init's.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum kind { NOTHING, LONE, STORM, FLOOD, ENDLESS };

/* Longest wait for anything, in seconds: what takes longer is an error, not a figure. */
enum { DEADLINE = 120, STORM_MAX = 4096 };

struct shared {
    _Atomic uint32_t ready;     /* futex: 1 once the command runs, 2 once its orphan maker does too */
    _Atomic uint32_t received;  /* futex: signals that the command got */
    _Atomic uint32_t asked;     /* futex: requests to the orphan maker */
    _Atomic uint32_t answered;  /* futex: requests that it has carried out */
    _Atomic uint32_t kind;
    _Atomic uint32_t amount;
    _Atomic uint32_t released;  /* futex: generation of the storm that may die */
    _Atomic uint32_t waiting;   /* orphans of the storm that stand ready */
    _Atomic uint64_t made;
    _Atomic uint64_t arrived;   /* CLOCK_MONOTONIC in ns of the last signal */
    _Atomic uint64_t calls;     /* system calls that the tracer saw: benches/run reads it, at byte 48 */
};
_Static_assert(offsetof(struct shared, calls) == 48, "benches/run reads it there");

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static struct shared *share(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0 || ftruncate(file, sizeof(struct shared)) < 0)
        err(1, "%s", path);
    void *memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED)
        err(1, "mmap");
    close(file);
    return memory;
}

static void wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Sleeps while the word is `old`. */
static void sleep_on(_Atomic uint32_t *word, uint32_t old)
{
    struct timespec second = {1, 0};
    syscall(SYS_futex, word, FUTEX_WAIT, old, &second, NULL, 0);
}

/* Waits for the word to reach `least`. */
static void await(_Atomic uint32_t *word, uint32_t least, const char *what)
{
    uint64_t end = now() + DEADLINE * 1000000000ull;
    for (uint32_t value; (int32_t)((value = atomic_load(word)) - least) < 0; sleep_on(word, value))
        if (now() > end)
            errx(1, "%s: nothing in %d seconds", what, DEADLINE);
}

/* Leaves the calling process, and what it starts, the last of its CPUs. */
static void share_a_cpu(void)
{
    cpu_set_t given, last;
    if (sched_getaffinity(0, sizeof given, &given) < 0)
        err(1, "sched_getaffinity");
    int chosen = CPU_SETSIZE - 1;
    while (chosen > 0 && !CPU_ISSET(chosen, &given))
        chosen--;
    CPU_ZERO(&last);
    CPU_SET(chosen, &last);
    if (sched_setaffinity(0, sizeof last, &last) < 0)
        err(1, "sched_setaffinity");
}

/* Moves the calling process to any CPU but its own, if there is another. */
static void leave_the_cpu(void)
{
    cpu_set_t others;
    memset(&others, 0xff, sizeof others);
    CPU_CLR(sched_getcpu(), &others);
    if (sched_setaffinity(0, sizeof others, &others) < 0 && errno != EINVAL)
        err(1, "sched_setaffinity");
}

/* ---- processes ---- */

enum { STACK = 4096 };

/* clone(2) with a stack of its own, so that memory can be shared with the caller. */
static pid_t launch(int (*function)(void *), void *argument, int flags, char *stack)
{
    pid_t pid = clone(function, stack + STACK, flags | SIGCHLD, argument);
    if (pid < 0)
        err(1, "clone");
    return pid;
}

/* A new process's life as the init of the PID namespace that it was cloned into. */
static int become(void *arguments)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp(((char **)arguments)[0], arguments);
    _exit(125);
}

static pid_t launch_pid1(int (*function)(void *), void *argument, int flags)
{
    static _Alignas(16) char stack[16 * STACK];
    int privileged = geteuid() == 0 ? 0 : CLONE_NEWUSER;
    return launch(function, argument, flags | CLONE_NEWPID | privileged, stack + 15 * STACK);
}

enum { WORDS = 16, OPTIONS = 8 };

/* Fills `words` with the command line INIT -- COMMAND. */
static char **command_line(char *init, char **words, char *command, char *first, char *second)
{
    unsigned count = 0;
    if (strcmp(init, "-") != 0) {
        for (char *word = strtok(strdup(init), " "); word != NULL && count < OPTIONS; word = strtok(NULL, " "))
            words[count++] = word;
        words[count++] = "--";
    }
    words[count++] = command;
    words[count++] = first;
    words[count++] = second;
    words[count] = NULL;
    return words;
}

/* ---- start ---- */

static void start(unsigned rounds, unsigned programs, char **program)
{
    char *lines[programs][WORDS];
    for (unsigned which = 0; which < programs; which++)
        command_line(program[which], lines[which], "/bin/true", NULL, NULL);
    share_a_cpu();
    for (unsigned round = 0; round < rounds; round++)
        for (unsigned step = 0; step < programs; step++) {
            unsigned which = (round + step) % programs;
            char **arguments = lines[which];
            uint64_t before = now();
            pid_t pid = launch_pid1(become, arguments, CLONE_VM | CLONE_VFORK);
            int status;
            if (waitpid(pid, &status, 0) != pid || status != 0)
                errx(1, "%s: ended with status %#x", program[which], status);
            printf("%u %llu\n", which, (unsigned long long)(now() - before));
        }
}

/* ---- system calls ---- */

/* Follows a process that is being traced; adds its system calls to the counter. */
static void follow(pid_t pid, _Atomic uint64_t *calls)
{
    int status;
    while (waitpid(pid, &status, __WALL) == pid && !WIFEXITED(status) && !WIFSIGNALED(status)) {
        int stop = WSTOPSIG(status), event = status >> 16, deliver = 0, go = PTRACE_SYSCALL;
        if (stop == (SIGTRAP | 0x80)) {
            struct __ptrace_syscall_info info;
            if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) < 0)
                err(1, "PTRACE_GET_SYSCALL_INFO");
            if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
                atomic_fetch_add(calls, 1);
        } else if (event == PTRACE_EVENT_STOP) {
            if (stop != SIGTRAP)
                go = PTRACE_LISTEN;
        } else if (event == 0) {
            deliver = stop;
        }
        ptrace(go, pid, 0, deliver);
    }
}

static int gate[2];

static int become_when_traced(void *arguments)
{
    char byte;
    close(gate[1]);
    return read(gate[0], &byte, 1) == 1 ? become(arguments) : 125;
}

static void calls(char *program)
{
    char *words[WORDS], **arguments = command_line(program, words, "/bin/sleep", "0.2", NULL);
    if (pipe2(gate, O_CLOEXEC) < 0)
        err(1, "pipe2");
    pid_t pid = launch_pid1(become_when_traced, arguments, 0);
    if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC) < 0)
        err(1, "PTRACE_SEIZE");
    if (write(gate[1], "", 1) != 1)
        err(1, "write");
    int status;
    if (waitpid(pid, &status, __WALL) != pid || status >> 8 != (SIGTRAP | PTRACE_EVENT_EXEC << 8))
        errx(1, "%s: did not start, status %#x", program, status);
    ptrace(PTRACE_SYSCALL, pid, 0, 0);
    _Atomic uint64_t count = 1; /* the exec */
    follow(pid, &count);
    printf("%llu\n", (unsigned long long)count);
}

static void trace(pid_t pid, struct shared *shared)
{
    atomic_store(&shared->calls, 0);
    if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) < 0 || ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
        err(1, "ptrace");
    puts("tracing");
    fflush(stdout);
    follow(pid, &shared->calls);
}

/* ---- the command: takes signals; its orphan maker, a child of the init's, makes the init new children ---- */

static struct shared *worker_shared;

static int die(void *unused)
{
    (void)unused;
    _exit(0);
}

static int die_when_released(void *unused)
{
    (void)unused;
    uint32_t before = atomic_load(&worker_shared->released);
    atomic_fetch_add(&worker_shared->waiting, 1);
    while (atomic_load(&worker_shared->released) == before)
        sleep_on(&worker_shared->released, before);
    _exit(0);
}

/* Until an orphan has been reaped: only then is its pid free. */
static void await_reaped(pid_t pid)
{
    const struct timespec moment = {0, 20000};
    while (kill(pid, 0) == 0)
        nanosleep(&moment, NULL);
}

/*
 * An orphan without the detour: CLONE_PARENT makes the maker's own parent, the init, the new process's
 * parent at once. To the init it is the same: a child that it did not start, and its SIGCHLD.
 */
static pid_t orphan_that_dies(void)
{
    static _Alignas(16) char stack[STACK];
    return launch(die, NULL, CLONE_PARENT | CLONE_VM | CLONE_VFORK, stack);
}

static void make_storm(uint32_t amount)
{
    static _Alignas(16) char stacks[STORM_MAX][STACK];
    static pid_t pids[STORM_MAX];
    const struct timespec moment = {0, 1000000};
    if (amount > STORM_MAX)
        errx(1, "a storm of at most %d", STORM_MAX);
    atomic_store(&worker_shared->waiting, 0);
    for (uint32_t made = 0; made < amount; made++)
        pids[made] = launch(die_when_released, NULL, CLONE_PARENT | CLONE_VM, stacks[made]);
    while (atomic_load(&worker_shared->waiting) < amount)
        nanosleep(&moment, NULL);
    atomic_fetch_add(&worker_shared->released, 1);
    wake(&worker_shared->released);
    for (uint32_t made = 0; made < amount; made++)
        await_reaped(pids[made]);
}

/* One orphan after the other, as fast as the maker can; at most STORM_MAX of them unreaped. */
static void make_flood(uint32_t amount)
{
    static pid_t pids[STORM_MAX];
    uint32_t made = 0;
    for (; amount == 0 ? atomic_load(&worker_shared->kind) == ENDLESS : made < amount; made++) {
        if (made >= STORM_MAX)
            await_reaped(pids[made % STORM_MAX]);
        pids[made % STORM_MAX] = orphan_that_dies();
        atomic_fetch_add(&worker_shared->made, 1);
    }
    for (uint32_t last = 0; last < made && last < STORM_MAX; last++)
        await_reaped(pids[last]);
}

static void make_orphans(void)
{
    const struct timespec rest = {0, 300000};
    for (;;) {
        uint32_t answered = atomic_load(&worker_shared->answered);
        while (atomic_load(&worker_shared->asked) == answered)
            syscall(SYS_futex, &worker_shared->asked, FUTEX_WAIT, answered, NULL, NULL, 0);
        uint32_t amount = atomic_load(&worker_shared->amount);
        switch ((enum kind)atomic_load(&worker_shared->kind)) {
        case LONE:
            for (uint32_t made = 0; made < amount; made++) {
                await_reaped(orphan_that_dies());
                nanosleep(&rest, NULL); /* the init goes back to sleep: the next one is alone too */
            }
            break;
        case STORM:
            make_storm(amount);
            break;
        case FLOOD:
            make_flood(amount);
            break;
        case ENDLESS:
            make_flood(0);
            break;
        case NOTHING:
            break;
        }
        atomic_fetch_add(&worker_shared->answered, 1);
        wake(&worker_shared->answered);
    }
}

static _Noreturn void worker(void)
{
    sigset_t awaited;
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGUSR1);
    sigprocmask(SIG_BLOCK, &awaited, NULL);
    pid_t between = fork();
    if (between == 0) {
        if (fork() != 0)
            _exit(0);
        setsid(); /* out of the group that gets the signals */
        leave_the_cpu();
        while (getppid() != 1)
            sched_yield();
        atomic_fetch_add(&worker_shared->ready, 1);
        wake(&worker_shared->ready);
        make_orphans();
    }
    if (between < 0 || waitpid(between, NULL, 0) != between)
        err(1, "fork");
    atomic_fetch_add(&worker_shared->ready, 1);
    wake(&worker_shared->ready);
    for (;;)
        if (sigwaitinfo(&awaited, NULL) == SIGUSR1) {
            atomic_store(&worker_shared->arrived, now());
            atomic_fetch_add(&worker_shared->received, 1);
            wake(&worker_shared->received);
        }
}

static void pid1(char *program, char *path)
{
    struct shared *shared = share(path);
    share_a_cpu();
    char self[PATH_MAX + 1] = {0}, *arguments[WORDS];
    if (readlink("/proc/self/exe", self, PATH_MAX) < 0)
        err(1, "/proc/self/exe");
    command_line(program, arguments, self, "worker", path);
    pid_t pid = launch_pid1(become, arguments, CLONE_VM | CLONE_VFORK);
    await(&shared->ready, 2, program);
    printf("%d\n", (int)pid);
    fflush(stdout);
    waitpid(pid, NULL, 0);
}

/* ---- a crowd: what the memory cgroup is charged for an init is what many are charged, less as many bare commands ---- */

/* The command: says that it runs, and does nothing for ever. */
static _Noreturn void rest(char *path)
{
    struct shared *shared = share(path);
    atomic_fetch_add(&shared->ready, 1);
    wake(&shared->ready);
    munmap(shared, sizeof *shared);
    for (;;)
        pause();
}

static void crowd(char *path, char *procs, unsigned amount, char *program)
{
    struct shared *shared = share(path);
    char self[PATH_MAX + 1] = {0}, *arguments[WORDS];
    if (readlink("/proc/self/exe", self, PATH_MAX) < 0)
        err(1, "/proc/self/exe");
    command_line(program, arguments, self, "rest", path);
    /* The kernel charges a process to its parent's cgroup. */
    int file = open(procs, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, "0", 1) != 1)
        err(1, "%s", procs);
    close(file);
    atomic_store(&shared->ready, 0);
    for (unsigned made = 0; made < amount; made++)
        launch_pid1(become, arguments, CLONE_VM | CLONE_VFORK);
    await(&shared->ready, amount, program);
    puts("all run");
    fflush(stdout);
    for (;;)
        pause();
}

/* ---- the questions ---- */

static uint32_t ask(struct shared *shared, enum kind kind, uint32_t amount)
{
    uint32_t answer = atomic_load(&shared->answered) + 1;
    atomic_store(&shared->kind, kind);
    atomic_store(&shared->amount, amount);
    atomic_fetch_add(&shared->asked, 1);
    wake(&shared->asked);
    return answer;
}

static void orphans(struct shared *shared, const char *name, uint32_t amount)
{
    enum kind kind = strcmp(name, "lone") == 0 ? LONE : strcmp(name, "storm") == 0 ? STORM : FLOOD;
    await(&shared->answered, ask(shared, kind, amount), "orphans");
}

static void signals(struct shared *shared, pid_t pid, unsigned amount)
{
    share_a_cpu();
    for (unsigned sent = 0; sent < amount; sent++) {
        /* An odd pause, so that no init is met at the same point of its timer each time. */
        struct timespec moment = {0, 150000 + (long)(sent % 16) * 20000};
        nanosleep(&moment, NULL);
        uint32_t before = atomic_load(&shared->received);
        uint64_t left = now();
        if (kill(pid, SIGUSR1) < 0)
            err(1, "kill");
        await(&shared->received, before + 1, "a forwarded signal");
        printf("%lld\n", (long long)(atomic_load(&shared->arrived) - left));
    }
}

static void storm(struct shared *shared, pid_t pid, unsigned amount)
{
    uint64_t before = atomic_load(&shared->made);
    uint32_t answer = ask(shared, ENDLESS, 0);
    while (atomic_load(&shared->made) < before + 100)
        sched_yield();
    before = atomic_load(&shared->made);
    signals(shared, pid, amount);
    if (atomic_load(&shared->made) < before + amount)
        errx(1, "fewer than one orphan a signal is no storm");
    atomic_store(&shared->kind, NOTHING);
    await(&shared->answered, answer, "the storm's end");
}

static int number(const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 1 || value > INT_MAX)
        errx(2, "'%s' is not a number", text);
    return (int)value;
}

int main(int count, char **words)
{
    const char *duty = count > 1 ? words[1] : "";
    if (strcmp(duty, "start") == 0 && count > 3)
        start((unsigned)number(words[2]), (unsigned)count - 3, words + 3);
    else if (strcmp(duty, "calls") == 0 && count == 3)
        calls(words[2]);
    else if (strcmp(duty, "pid1") == 0 && count == 4)
        pid1(words[2], words[3]);
    else if (strcmp(duty, "worker") == 0 && count == 3)
        worker_shared = share(words[2]), worker();
    else if (strcmp(duty, "trace") == 0 && count == 4)
        trace(number(words[2]), share(words[3]));
    else if (strcmp(duty, "orphans") == 0 && count == 5)
        orphans(share(words[2]), words[3], (uint32_t)number(words[4]));
    else if (strcmp(duty, "signals") == 0 && count == 5)
        signals(share(words[2]), number(words[3]), (unsigned)number(words[4]));
    else if (strcmp(duty, "storm") == 0 && count == 5)
        storm(share(words[2]), number(words[3]), (unsigned)number(words[4]));
    else if (strcmp(duty, "rest") == 0 && count == 3)
        rest(words[2]);
    else if (strcmp(duty, "crowd") == 0 && count == 6)
        crowd(words[2], words[3], (unsigned)number(words[4]), words[5]);
    else
        errx(2, "unknown duty '%s'", duty);
    return 0;
}
