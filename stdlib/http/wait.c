/*
** wait.c - what a task does with a transfer: wait for its head, read its
** body, send it more. Each looks at the buffers, and suspends the task when
** it has to wait; what fails is returned as nil and a table (see `fail`).
*/
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "curl.h"

enum { DEADLINE = 2, IDLE }; /* arguments; send has a chunk before them */

/* {======================================================
** Time
** ======================================================= */

/* How long the task may wait from now on, by the absolute deadline at
   `index` and the longest idleness behind it; none when nil. A request that
   waits for a connection is not idle. */
static double time_left(lua_State *L, const http__transfer *t, int index,
                        uint64_t now) {
  double deadline = luaL_optnumber(L, index, HUGE_VAL);
  double idle = luaL_optnumber(L, index + 1, HUGE_VAL);
  double left = deadline - (double)now / 1e9;
  return t->sent ? fmin(left, idle - (double)(now - t->activity) / 1e9) : left;
}

/* Ends the transfer when its time is over. Whether it was. */
static int is_too_late(lua_State *L, http__transfer *t, int index) {
  uint64_t now = uv_hrtime();
  if (time_left(L, t, index, now) > 0)
    return 0;
  if (luaL_optnumber(L, index, HUGE_VAL) <= (double)now / 1e9)
    http__transfer_end(t, "timeout", "total", "the time for it has passed");
  else
    http__transfer_end(t, "timeout", "idle",
                       "nothing came or went for too long");
  return 1;
}

/* Suspends the task in a function whose deadline stands at `index`; `again`
   is called when there may be something new, or time has passed. */
static int wait(lua_State *L, http__transfer *t, neap_wait *w, int index,
                lua_KFunction again) {
  double seconds = time_left(L, t, index, uv_hrtime());
  return neap_suspend(L, w, seconds, (lua_KContext)t, again);
}

/* ====================================================== } */

/* Gives nil and {kind=, code=, message=}. */
static int fail(lua_State *L, const http__transfer *t) {
  lua_pushnil(L);
  lua_createtable(L, 0, 3);
  lua_pushstring(L, t->failure.kind);
  lua_setfield(L, -2, "kind");
  lua_pushstring(L, t->failure.code);
  lua_setfield(L, -2, "code");
  lua_pushstring(L, t->message);
  lua_setfield(L, -2, "message");
  return 2;
}

/* {======================================================
** The head
** ======================================================= */

/* Cuts white space off both ends, and pushes what is left. */
static void push_trimmed(lua_State *L, const char *s, const char *end) {
  while (s < end && isspace((unsigned char)*s))
    s++;
  while (s < end && isspace((unsigned char)end[-1]))
    end--;
  lua_pushlstring(L, s, (size_t)(end - s));
}

/* "HTTP/1.1 200 OK": the fields version, status, reason. */
static void read_status_line(lua_State *L, const char *s, const char *end) {
  const char *space = (const char *)memchr(s, ' ', (size_t)(end - s));
  int status = 0;
  if (space == NULL)
    space = end;
  lua_pushlstring(L, s + 5, (size_t)(space - s) - 5); /* behind "HTTP/" */
  lua_setfield(L, -2, "version");
  for (s = space; s < end && *s == ' '; s++)
    ;
  for (; s < end && isdigit((unsigned char)*s) && status < 1000; s++)
    status = status * 10 + (*s - '0');
  lua_pushinteger(L, status);
  lua_setfield(L, -2, "status");
  push_trimmed(L, s, end);
  lua_setfield(L, -2, "reason");
}

/* Appends "Name: value" to the list at the top; a line that goes on the one
   before (RFC 9112, 5.2) is joined to its value. Returns the new length. */
static lua_Integer read_header(lua_State *L, const char *s, const char *end,
                               lua_Integer n) {
  const char *colon = (const char *)memchr(s, ':', (size_t)(end - s));
  if (n > 0 && (*s == ' ' || *s == '\t')) {
    lua_rawgeti(L, -1, n);
    lua_pushliteral(L, " ");
    push_trimmed(L, s, end);
    lua_concat(L, 3);
    lua_rawseti(L, -2, n);
    return n;
  }
  if (colon == NULL)
    return n;
  push_trimmed(L, s, colon);
  lua_rawseti(L, -2, n + 1);
  push_trimmed(L, colon + 1, end);
  lua_rawseti(L, -2, n + 2);
  return n + 2;
}

/* Pushes the head as a table, and forgets its lines. */
static void push_head(lua_State *L, http__transfer *t) {
  const char *s = t->head.data, *end = s + t->head.len, *line;
  lua_Integer n = 0;
  lua_createtable(L, 0, 4);
  line = (const char *)memchr(s, '\n', (size_t)(end - s));
  read_status_line(L, s, line);
  lua_createtable(L, 16, 0);
  for (s = line + 1; s < end; s = line + 1) {
    line = (const char *)memchr(s, '\n', (size_t)(end - s));
    if (line == NULL)
      line = end;
    n = read_header(L, s, line, n);
  }
  lua_setfield(L, -2, "headers");
  http__buffer_free(&t->head);
}

static int look_for_head(lua_State *L, int status, lua_KContext ctx) {
  http__transfer *t = (http__transfer *)ctx;
  (void)status;
  if (t->head.len > 0 && t->head_done) {
    push_head(L, t);
    return 1;
  }
  if (t->failure.kind == NULL && t->done)
    return luaL_error(L, "the head was asked for before");
  if (t->failure.kind != NULL || is_too_late(L, t, DEADLINE))
    return fail(L, t);
  return wait(L, t, &t->reader, DEADLINE, look_for_head);
}

/* Lua: transfer:head([deadline [, idle]]) -> {status=, reason=, version=,
   headers=}; or nil, failure. Suspends the task. */
int http__head(lua_State *L) {
  http__transfer *t = http__transfer_check(L);
  http__check_net(L);
  lua_settop(L, IDLE);
  return look_for_head(L, 0, (lua_KContext)t);
}

/* ====================================================== } */

/* {======================================================
** The body
** ======================================================= */

static int look_for_body(lua_State *L, int status, lua_KContext ctx) {
  http__transfer *t = (http__transfer *)ctx;
  (void)status;
  if (t->body.len > 0) {
    lua_pushlstring(L, t->body.data, t->body.len);
    t->body.len = 0;
    if (t->done)
      http__buffer_free(&t->body);
    else if (t->paused) {
      t->paused = 0;
      http__transfer_go_on(t);
    }
    return 1;
  }
  if (t->failure.kind == NULL && t->done) { /* also when it is too late */
    lua_pushboolean(L, 0);
    return 1;
  }
  if (t->failure.kind != NULL || is_too_late(L, t, DEADLINE))
    return fail(L, t);
  return wait(L, t, &t->reader, DEADLINE, look_for_body);
}

/* Lua: transfer:receive([deadline [, idle]]) -> bytes, or false at the end;
   or nil, failure. Suspends the task when nothing is there. */
int http__receive(lua_State *L) {
  http__transfer *t = http__transfer_check(L);
  http__check_net(L);
  lua_settop(L, IDLE);
  if (t->body.len == 0) /* idle from now on: nobody was waiting before */
    t->activity = uv_hrtime();
  return look_for_body(L, 0, (lua_KContext)t);
}

static int look_for_room(lua_State *L, int status, lua_KContext ctx) {
  http__transfer *t = (http__transfer *)ctx;
  size_t len = 0;
  const char *chunk = lua_tolstring(L, 2, &len);
  (void)status;
  if (t->failure.kind != NULL)
    return fail(L, t);
  if (t->done) { /* answered, and wants no more */
    lua_pushboolean(L, 0);
    return 1;
  }
  if (t->upload.len > 0) {
    if (is_too_late(L, t, DEADLINE + 1))
      return fail(L, t);
    return wait(L, t, &t->writer, DEADLINE + 1, look_for_room);
  }
  if (t->upload_left >= 0 && len > (size_t)t->upload_left) {
    http__transfer_end(t, "request", NULL,
                       "the body is longer than its Content-Length");
    return fail(L, t);
  }
  if (chunk == NULL)
    t->upload_ended = 1;
  else if (!http__buffer_add(&t->upload, chunk, len))
    return luaL_error(L, "not enough memory");
  if (t->starved) {
    t->starved = 0;
    http__transfer_go_on(t);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* Lua: transfer:send(chunk or nil [, deadline [, idle]]) -> true, or false
   when the server wants no more; or nil, failure. nil ends the body.
   Suspends the task until what was given before has been sent. */
int http__send(lua_State *L) {
  http__transfer *t = http__transfer_check(L);
  http__check_net(L);
  lua_settop(L, IDLE + 1);
  if (!lua_isnil(L, 2))
    luaL_checkstring(L, 2);
  return look_for_room(L, 0, (lua_KContext)t);
}

/* ====================================================== } */
