/*
** files.c - whole small files, 16 at a time; prints us of processor time per
** file.
** usage: files N work|fs FOLDER, which has the files 1 to N, of 1000 bytes
** each. "work": a thread opens, reads and closes a file in one piece of work;
** "fs": by libuv's requests for files, one after the other.
*/
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "bench.h"

#define TOGETHER 16

typedef struct reader {
  uv_work_t work;
  uv_fs_t request;
  uv_buf_t buffer;
  char path[4096];
  char *data;
  size_t size;
  uv_file fd;
  int number; /* of the file; then of the next one, 16 on */
} reader;

static int count;
static const char *folder;
static void next_by_work(reader *r);
static void next_by_fs(reader *r);

/* Looks at what was read, and goes on. 0: this reader has no more to do. */
static int is_next(reader *r) {
  if (r->size != 1000)
    fail("a file is not as it should be");
  free(r->data);
  r->number += TOGETHER;
  return r->number <= count;
}

static void set_path(reader *r) {
  snprintf(r->path, sizeof r->path, "%s/%d", folder, r->number);
}

static void in_thread(uv_work_t *work) {
  reader *r = work->data;
  struct stat st;
  int fd = open(r->path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) != 0)
    fail("a file cannot be opened");
  r->data = malloc((size_t)st.st_size + 1);
  r->size = (size_t)read(fd, r->data, (size_t)st.st_size + 1);
  close(fd);
}

static void work_done(uv_work_t *work, int status) {
  reader *r = work->data;
  (void)status;
  if (is_next(r))
    next_by_work(r);
}

static void next_by_work(reader *r) {
  set_path(r);
  uv_queue_work(uv_default_loop(), &r->work, in_thread, work_done);
}

static void closed(uv_fs_t *request) {
  reader *r = request->data;
  uv_fs_req_cleanup(request);
  if (is_next(r))
    next_by_fs(r);
}

static void has_read(uv_fs_t *request) {
  reader *r = request->data;
  r->size = (size_t)request->result;
  uv_fs_req_cleanup(request);
  uv_fs_close(uv_default_loop(), request, r->fd, closed);
}

static void has_stat(uv_fs_t *request) {
  reader *r = request->data;
  size_t size = (size_t)request->statbuf.st_size;
  uv_fs_req_cleanup(request);
  r->data = malloc(size + 1);
  r->buffer = uv_buf_init(r->data, (unsigned)size + 1);
  uv_fs_read(uv_default_loop(), request, r->fd, &r->buffer, 1, -1, has_read);
}

static void opened(uv_fs_t *request) {
  reader *r = request->data;
  r->fd = (uv_file)request->result;
  if (r->fd < 0)
    fail("a file cannot be opened");
  uv_fs_req_cleanup(request);
  uv_fs_fstat(uv_default_loop(), request, r->fd, has_stat);
}

static void next_by_fs(reader *r) {
  set_path(r);
  uv_fs_open(uv_default_loop(), &r->request, r->path, O_RDONLY, 0, opened);
}

int main(int argc, char **argv) {
  static reader readers[TOGETHER];
  double start;
  int i;
  count = count_argument(argc, argv);
  if (argc != 4)
    fail("usage: files COUNT work|fs FOLDER");
  folder = argv[3];
  start = clock_now();
  for (i = 0; i < TOGETHER && i < count; i++) {
    readers[i].number = i + 1;
    readers[i].work.data = readers[i].request.data = &readers[i];
    if (strcmp(argv[2], "work") == 0)
      next_by_work(&readers[i]);
    else
      next_by_fs(&readers[i]);
  }
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  printf("%.4f\n", (clock_now() - start) * 1e6 / count);
  return 0;
}
