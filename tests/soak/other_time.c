/* Another wall clock for one process and its children: LD_PRELOAD this, SOAK_CLOCK_OFFSET_SECONDS says how far ahead.
 *
 * Only the wall clock moves. The monotonic clock, by which sleeps and waits go, stays the kernel's. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t offset(void) {
    static time_t seconds = -1;
    if (seconds < 0) {
        const char *text = getenv("SOAK_CLOCK_OFFSET_SECONDS");
        seconds = text ? atoll(text) : 0;
    }
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *found) {
    int failed = syscall(SYS_clock_gettime, clock, found);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) found->tv_sec += offset();
    return failed;
}

int gettimeofday(struct timeval *restrict found, void *restrict zone) {
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    found->tv_sec = now.tv_sec;
    found->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *found) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (found) *found = now.tv_sec;
    return now.tv_sec;
}
