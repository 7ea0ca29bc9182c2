/* Preloaded into a server, it shifts the wall clock: by the time of change of the file that
   CRAWLER_TESTS_CLOCK names, in seconds from 1970. The monotonic clock stays as it is. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

static long shift_s(void) {
  const char *path = getenv("CRAWLER_TESTS_CLOCK");
  struct stat found;
  return path && stat(path, &found) == 0 ? found.st_mtime : 0;
}

int clock_gettime(clockid_t id, struct timespec *at) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int told = real(id, at);
  if (id == CLOCK_REALTIME) at->tv_sec += shift_s();
  return told;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  static int (*real)(struct timeval *, void *);
  if (!real) real = dlsym(RTLD_NEXT, "gettimeofday");
  int told = real(at, zone);
  at->tv_sec += shift_s();
  return told;
}

time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}
