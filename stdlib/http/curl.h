/*
** curl.h - what the C files of `http.curl` share.
**
** A multi is a curl_multi on the VM's loop; a transfer is one request on
** it, and its response. Both are userdata: a transfer keeps its multi, and a
** multi that is closed ends its transfers.
**
** Curl calls back inside curl_multi_socket_action (from the loop's callbacks),
** curl_easy_pause, and whatever starts, ends or frees something of its own.
** A callback never uses Lua, as an error would have to cross curl's frames:
** it fills buffers, and wakes tasks (neap_wake), which then look at them.
*/
#ifndef HTTP_CURL_H
#define HTTP_CURL_H

#include <curl/curl.h>
#include <lauxlib.h>
#include <lua.h>
#include <sys/types.h>
#include <uv.h>

#include "neap.h"

/* {======================================================
** multi.c: curl on the loop
** ======================================================= */

#define HTTP__IDLE_HANDLES 64 /* easy handles kept for the next request */

/* What curl's sockets and its timer need of the loop: memory of its own,
   since the loop frees it, maybe after the multi has gone. The VM waits for
   that: neap_loop_retain. */
typedef struct http__watcher {
  uv_poll_t poll;
  neap_vm *vm;
  struct http__multi *multi;
  int events; /* of uv_poll_start, or 0 */
  ino_t inode; /* of a connection's socket; 0: another one of curl's */
} http__watcher;

typedef struct http__ticker {
  uv_timer_t timer;
  uv_idle_t soon; /* in the next iteration of the loop */
  neap_vm *vm;
  struct http__multi *multi;
  int open; /* of the two */
} http__ticker;

typedef struct http__multi {
  CURLM *curl;   /* NULL: closed */
  CURLSH *share; /* cookies and TLS sessions */
  neap_vm *vm;
  uv_loop_t *loop;
  http__ticker *ticker;
  http__watcher **watchers; /* by descriptor */
  int watchers_size;
  struct http__transfer *transfers; /* unfinished ones */
  CURL *idle[HTTP__IDLE_HANDLES];
  int idle_count;
} http__multi;

/* Raises an error when the VM has not, or no longer, the capability. */
void http__check_net(lua_State *L);
void http__check_fs(lua_State *L);
/* Makes a hidden metatable: scripts reach the methods alone. */
void http__class_new(lua_State *L, const char *name, const luaL_Reg *methods,
                     const luaL_Reg *metamethods);
/* The multi at index 1, open or closed; raises when it is none. */
http__multi *http__multi_check(lua_State *L);
/* An easy handle with default options; NULL: no memory. */
CURL *http__handle_take(http__multi *m);
/* Makes the sockets of its connections known to the loop. */
void http__handle_set_sockets(lua_State *L, http__multi *m, CURL *easy);
/* Gives back one that is in no transfer. */
void http__handle_give(http__multi *m, CURL *easy);

/* ====================================================== } */

/* {======================================================
** transfer.c: one request and its response; wait.c: tasks that wait for it
** ======================================================= */

/* Bytes on their way from curl to Lua, or back. */
typedef struct http__buffer {
  char *data;
  size_t start; /* of what is left */
  size_t len;
  size_t capacity;
} http__buffer;

/* Why a transfer failed, in the words of Lua's half. */
typedef struct http__failure {
  const char *kind; /* NULL: it did not */
  const char *code; /* static, or NULL */
} http__failure;

typedef struct http__transfer {
  http__multi *multi; /* NULL: finished or closed */
  struct http__transfer *previous; /* in multi->transfers */
  struct http__transfer *next;
  CURL *easy;
  struct curl_slist *headers;
  curl_mime *parts;
  http__buffer head;  /* of the response: its lines as they came */
  http__buffer body;  /* what was received and not yet read */
  http__buffer upload; /* what was given to send and is not sent */
  neap_wait reader;   /* a task inside head or receive */
  neap_wait writer;   /* a task inside send */
  curl_off_t upload_left; /* of the length given; -1: none was */
  size_t head_bytes;  /* of all heads and trailers, so far */
  uint64_t activity;  /* when a byte last came or went, of uv_hrtime */
  http__failure failure;
  char message[CURL_ERROR_SIZE];
  uint8_t sent;          /* begun to be: it has a connection */
  uint8_t names_host;    /* the request has a Host of the script's */
  uint8_t head_done;
  uint8_t done;          /* nothing more will come */
  uint8_t head_refused;  /* it is too large */
  uint8_t paused;        /* receiving: the body buffer is full */
  uint8_t starved;       /* sending: waits for `upload` */
  uint8_t upload_ended;  /* there will be no more of it */
} http__transfer;

/* Lua: multi:start(request) */
int http__transfer_start(lua_State *L);
/* Curl has ended it. */
void http__transfer_finish(http__transfer *t, CURLcode code);
/* Ends it, unless it has ended, with this failure. */
void http__transfer_end(http__transfer *t, const char *kind, const char *code,
                        const char *message);
/* Tells curl which directions may go on. */
void http__transfer_go_on(http__transfer *t);
/* Takes bytes from outside; false: no memory. */
int http__buffer_add(http__buffer *b, const char *data, size_t len);
void http__buffer_free(http__buffer *b);
/* The transfer at index 1; raises when it is none. */
http__transfer *http__transfer_check(lua_State *L);
void http__transfer_init(lua_State *L);

/* Lua: transfer:head, :receive, :send */
int http__head(lua_State *L);
int http__receive(lua_State *L);
int http__send(lua_State *L);

/* ====================================================== } */

/* failure.c: what curl's code for a transfer means */
void http__failure_of(http__transfer *t, CURLcode code);

/* url.c. Lua: url(text [, base]) and convert(text, charset) */
int http__url(lua_State *L);
int http__convert(lua_State *L);
void http__url_init(lua_State *L);

#endif
