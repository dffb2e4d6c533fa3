/*
 * Preloaded into a server of a fault test (LD_PRELOAD). Three faults that nothing else can make without a machine of
 * one's own:
 *   - a wall clock that is wrong by `clock_offset_ms` (CLOCK_MONOTONIC stays right)
 *   - an fsync that takes `fsync_delay_ms` longer
 *   - a record of how much of each file had been fsynced: what a power cut would have left
 * The first two are read from a mapped control file, so that a test can change them while the server runs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct control {
  int64_t clock_offset_ms;
  int64_t fsync_delay_ms;
};

static volatile struct control *control;
static const char *folder;

static int (*real_gettimeofday)(struct timeval *, void *);
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_fdatasync)(int);
static int (*real_fsync)(int);
static int (*real_rename)(const char *, const char *);

/* Others' constructors ask for the time before ours has run. */
__attribute__((constructor)) static void resolve(void) {
  if (real_rename != NULL) return;
  real_gettimeofday = dlsym(RTLD_NEXT, "gettimeofday");
  real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_rename = dlsym(RTLD_NEXT, "rename");
}

__attribute__((constructor)) static void prepare(void) {
  if (getenv("WAXWING_SHIM_FOLDER") == NULL) return;
  /* A copy: Redis writes its title over the environment. */
  folder = strdup(getenv("WAXWING_SHIM_FOLDER"));
  char path[4096];
  snprintf(path, sizeof path, "%s/control", folder);
  int file = open(path, O_RDONLY);
  if (file < 0) return;
  void *mapped = mmap(NULL, sizeof(struct control), PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (mapped != MAP_FAILED) control = mapped;
}

static int64_t offset_ms(void) { return control == NULL ? 0 : control->clock_offset_ms; }

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
  resolve();
  int result = real_gettimeofday(tv, zone);
  if (result == 0) {
    int64_t us = tv->tv_sec * 1000000LL + tv->tv_usec + offset_ms() * 1000;
    tv->tv_sec = us / 1000000;
    tv->tv_usec = us % 1000000;
  }
  return result;
}

int clock_gettime(clockid_t id, struct timespec *ts) {
  resolve();
  int result = real_clock_gettime(id, ts);
  if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
    int64_t ms = offset_ms();
    int64_t ns = ts->tv_nsec + (ms % 1000) * 1000000LL;
    ts->tv_sec += ms / 1000 + (ns >= 1000000000LL) - (ns < 0);
    ts->tv_nsec = (ns + 1000000000LL) % 1000000000LL;
  }
  return result;
}

time_t time(time_t *out) {
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  if (out != NULL) *out = ts.tv_sec;
  return ts.tv_sec;
}

static void record_path(char *out, size_t size, const char *path) {
  const char *slash = strrchr(path, '/');
  snprintf(out, size, "%s/synced-%s", folder, slash == NULL ? path : slash + 1);
}

static void record(int fd, off_t synced) {
  char link[64], path[4096], target[8192], text[32];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return;
  path[length] = 0;
  record_path(target, sizeof target, path);
  int file = open(target, O_WRONLY | O_CREAT, 0600);
  if (file < 0) return;
  int digits = snprintf(text, sizeof text, "%020lld\n", (long long)synced);
  if (pwrite(file, text, digits, 0) < 0) perror("waxwing shim");
  close(file);
}

static int sync_and_record(int fd, int (*real)(int)) {
  if (control != NULL && control->fsync_delay_ms > 0) usleep(control->fsync_delay_ms * 1000);
  struct stat before;
  int known = folder != NULL && fstat(fd, &before) == 0 && S_ISREG(before.st_mode);
  int result = real(fd);
  if (result == 0 && known) record(fd, before.st_size);
  return result;
}

int fdatasync(int fd) {
  resolve();
  return sync_and_record(fd, real_fdatasync);
}
int fsync(int fd) {
  resolve();
  return sync_and_record(fd, real_fsync);
}

int rename(const char *from, const char *to) {
  resolve();
  int result = real_rename(from, to);
  if (result == 0 && folder != NULL) {
    char old_record[8192], new_record[8192];
    record_path(old_record, sizeof old_record, from);
    record_path(new_record, sizeof new_record, to);
    real_rename(old_record, new_record);
  }
  return result;
}
