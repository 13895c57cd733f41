/* Another time of day for one process and all that it starts: CLOCK_OFFSET seconds beside the true one. Durations, and
   the times of files, stay what they are. For LD_PRELOAD. Only what tells the time of day or waits until one is here:
   libfaketime does far more, and in Debian 12 its clock_nanosleep sleeps until whatever is on the stack.
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t offset;

__attribute__((constructor)) static void begin(void) {
    const char *given = getenv("CLOCK_OFFSET");
    offset = given ? atol(given) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *to) {
    int failed = (int)syscall(SYS_clock_gettime, clock, to);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) to->tv_sec += offset;
    return failed;
}

int gettimeofday(struct timeval *restrict to, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    to->tv_sec = now.tv_sec;
    to->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *to) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to) *to = now.tv_sec;
    return now.tv_sec;
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
    int (*real)(sem_t *, const struct timespec *);
    struct timespec true_time = *until;
    *(void **)&real = dlsym(RTLD_NEXT, "sem_timedwait");
    true_time.tv_sec -= offset;
    return real(semaphore, &true_time);
}
