/*
** transfer.c - one request and its response, as curl sees them.
**
** A transfer is under way from http__transfer_start until curl has ended it,
** a task gave it up, or its multi was closed: http__transfer_finish or
** http__transfer_end. Then curl knows it no more, and the connection is
** free; what was received stays to be read.
*/
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "curl.h"

#define TRANSFER_TYPE "http.curl.transfer"

#define BODY_ENOUGH 65536     /* bytes received and not read: curl pauses */
#define HEAD_MOST (256 * 1024) /* bytes of a response's heads and trailers */

/* {======================================================
** Buffers
** ======================================================= */

int http__buffer_add(http__buffer *b, const char *data, size_t len) {
  if (b->capacity - b->start - b->len < len) {
    size_t capacity = b->capacity < 1024 ? 1024 : b->capacity;
    char *grown;
    while (capacity - b->len < len)
      capacity *= 2;
    grown = (char *)malloc(capacity);
    if (grown == NULL)
      return 0;
    if (b->len > 0)
      memcpy(grown, b->data + b->start, b->len);
    free(b->data);
    b->data = grown;
    b->start = 0;
    b->capacity = capacity;
  }
  memcpy(b->data + b->start + b->len, data, len);
  b->len += len;
  return 1;
}

void http__buffer_free(http__buffer *b) {
  free(b->data);
  memset(b, 0, sizeof *b);
}

/* ====================================================== } */

/* {======================================================
** Curl's callbacks
** ======================================================= */

static int starts_with(const char *line, size_t len, const char *text) {
  size_t n = strlen(text);
  return len >= n && memcmp(line, text, n) == 0;
}

/* Whether the head is that of a response to come before the real one: its
   first line has a status 1xx. (101 ends HTTP: the head of what follows.) */
static int is_interim(const http__buffer *head) {
  const char *space = (const char *)memchr(head->data, ' ', head->len);
  size_t left = space == NULL ? 0 : (size_t)(head->data + head->len - space);
  return starts_with(space, left, " 1") && !starts_with(space, left, " 101");
}

/* Curl: a line of a head, or of a chunked body's trailer. */
static size_t take_header(char *line, size_t size, size_t n, void *ud) {
  http__transfer *t = (http__transfer *)ud;
  size_t len = size * n;
  t->head_bytes += len;
  if (t->head_bytes > HEAD_MOST) {
    t->head_refused = 1;
    return 0;
  }
  t->activity = uv_hrtime();
  if (t->head_done)
    return len;
  if (t->head.len == 0 && !starts_with(line, len, "HTTP/"))
    return len; /* nothing that a response begins with */
  if (!http__buffer_add(&t->head, line, len))
    return 0;
  if (*line == '\r' || *line == '\n') { /* the end of the head? */
    if (is_interim(&t->head)) {
      t->head.len = 0;
      return len;
    }
    t->head_done = 1;
    neap_wake(&t->reader);
  }
  return len;
}

/* Curl: there is a connection, the request is about to be sent. From now on
   idleness counts: whoever waits has to look how long he may. */
static int begin(void *ud, char *to, char *from, int to_port, int from_port) {
  http__transfer *t = (http__transfer *)ud;
  (void)to;
  (void)from;
  (void)to_port;
  (void)from_port;
  t->sent = 1;
  t->activity = uv_hrtime();
  neap_wake(&t->reader);
  neap_wake(&t->writer);
  return CURL_PREREQFUNC_OK;
}

/* Curl: bytes of the body. */
static size_t take_body(char *data, size_t size, size_t n, void *ud) {
  http__transfer *t = (http__transfer *)ud;
  size_t len = size * n;
  if (t->multi == NULL) /* given up */
    return len;
  if (t->body.len >= BODY_ENOUGH) {
    t->paused = 1;
    return CURL_WRITEFUNC_PAUSE;
  }
  t->activity = uv_hrtime();
  if (!http__buffer_add(&t->body, data, len))
    return 0;
  neap_wake(&t->reader);
  return len;
}

/* Curl: room for bytes to send. */
static size_t give_upload(char *room, size_t size, size_t n, void *ud) {
  http__transfer *t = (http__transfer *)ud;
  http__buffer *b = &t->upload;
  size_t len = size * n;
  t->activity = uv_hrtime();
  if (b->len == 0) {
    if (t->upload_ended)
      return t->upload_left > 0 ? CURL_READFUNC_ABORT : 0;
    t->starved = 1;
    return CURL_READFUNC_PAUSE;
  }
  if (len > b->len)
    len = b->len;
  memcpy(room, b->data + b->start, len);
  b->start += len;
  b->len -= len;
  if (t->upload_left > 0)
    t->upload_left -= (curl_off_t)len;
  if (b->len == 0) {
    b->start = 0;
    neap_wake(&t->writer);
  }
  return len;
}

/* ====================================================== } */

/* {======================================================
** The request
** ======================================================= */

enum { REQUEST = 2, TRANSFER }; /* stack indices of start */
enum { MULTI = 1, BODY, WHAT, USER_VALUES = WHAT };

/* Pushes a field; runs no script, which could close the multi meanwhile. */
static void get(lua_State *L, int index, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, index);
}

static void check(lua_State *L, CURLcode code) {
  if (code != CURLE_OK)
    luaL_error(L, "libcurl: %s", curl_easy_strerror(code));
}

#define SET(option, value) check(L, curl_easy_setopt(easy, option, value))

/* Pushes a field of the request that is a string without NUL, or nil. */
static const char *push_text(lua_State *L, int index, const char *name) {
  const char *text;
  size_t len;
  get(L, index, name);
  text = lua_tolstring(L, -1, &len);
  if (text != NULL && strlen(text) != len)
    luaL_error(L, "%s contains a NUL", name);
  return text;
}

/* Sets an option that curl copies, if the request has the field. */
static void set_text(lua_State *L, CURL *easy, CURLoption option,
                     const char *name) {
  const char *text = push_text(L, REQUEST, name);
  if (text != NULL)
    SET(option, text);
  lua_pop(L, 1);
}

static int flag(lua_State *L, const char *name) {
  int value;
  get(L, REQUEST, name);
  value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

static void add_header(lua_State *L, http__transfer *t, const char *line) {
  struct curl_slist *list = curl_slist_append(t->headers, line);
  if (list == NULL)
    luaL_error(L, "not enough memory");
  t->headers = list;
}

static int has_header(const http__transfer *t, const char *name) {
  const struct curl_slist *each;
  for (each = t->headers; each != NULL; each = each->next) {
    if (curl_strnequal(each->data, name, strlen(name)))
      return 1;
  }
  return 0;
}

/* Gives curl the headers. Some it would add by itself: with a body a type
   (that of parts has the boundary, and stays), and before a large one the
   wish to be told to go on. */
static void set_headers(lua_State *L, http__transfer *t, CURL *easy) {
  lua_Integer i, n;
  get(L, REQUEST, "headers");
  luaL_checktype(L, -1, LUA_TTABLE);
  n = (lua_Integer)lua_rawlen(L, -1);
  for (i = 1; i <= n; i++) {
    size_t len;
    const char *line;
    lua_rawgeti(L, -1, i);
    line = luaL_checklstring(L, -1, &len);
    if (strpbrk(line, "\r\n") != NULL || strlen(line) != len)
      luaL_error(L, "header with a line break or NUL");
    if (strchr(line, ':') == line + len - 1) /* no value, as curl writes it */
      line = lua_pushfstring(L, "%s;", luaL_gsub(L, line, ":", ""));
    add_header(L, t, line);
    lua_settop(L, TRANSFER + 1);
  }
  lua_pop(L, 1);
  if (!flag(L, "parts") && !has_header(t, "content-type:") &&
      !has_header(t, "content-type;"))
    add_header(L, t, "Content-Type:");
  t->names_host = (uint8_t)has_header(t, "host:");
  if (!has_header(t, "expect:"))
    add_header(L, t, "Expect:");
  SET(CURLOPT_HTTPHEADER, t->headers);
}

static void set_part(lua_State *L, http__transfer *t) {
  curl_mimepart *part = curl_mime_addpart(t->parts);
  const char *text;
  size_t len;
  int index = lua_gettop(L);
  if (part == NULL)
    luaL_error(L, "not enough memory");
  check(L, curl_mime_name(part, push_text(L, index, "name")));
  if ((text = push_text(L, index, "path")) != NULL) {
    CURLcode code;
    http__check_fs(L);
    code = curl_mime_filedata(part, text);
    if (code == CURLE_READ_ERROR)
      luaL_error(L, "cannot read '%s': %s", text,
                 uv_strerror(uv_translate_sys_error(errno)));
    check(L, code);
  }
  else {
    get(L, index, "content");
    text = luaL_checklstring(L, -1, &len);
    check(L, curl_mime_data(part, text, len));
  }
  check(L, curl_mime_filename(part, push_text(L, index, "filename")));
  check(L, curl_mime_type(part, push_text(L, index, "content_type")));
  lua_settop(L, index);
}

static void set_parts(lua_State *L, http__transfer *t, CURL *easy) {
  lua_Integer i, n = (lua_Integer)lua_rawlen(L, -1);
  t->parts = curl_mime_init(easy);
  if (t->parts == NULL)
    luaL_error(L, "not enough memory");
  for (i = 1; i <= n; i++) {
    lua_rawgeti(L, TRANSFER + 1, i);
    luaL_checktype(L, -1, LUA_TTABLE);
    set_part(L, t);
    lua_pop(L, 1);
  }
  SET(CURLOPT_MIMEPOST, t->parts);
}

/* A body that comes piece by piece, of `length` bytes if that is known. */
static void set_stream(lua_State *L, http__transfer *t, CURL *easy) {
  get(L, REQUEST, "length");
  t->upload_left = (curl_off_t)luaL_optinteger(L, -1, -1);
  SET(CURLOPT_UPLOAD, 1L);
  SET(CURLOPT_INFILESIZE_LARGE, t->upload_left);
  SET(CURLOPT_READFUNCTION, give_upload);
  SET(CURLOPT_READDATA, t);
  lua_pop(L, 1);
}

/* A body in one string, which curl does not copy. */
static void set_body(lua_State *L, CURL *easy, const char *body, size_t len) {
  SET(CURLOPT_POST, 1L);
  SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
  SET(CURLOPT_POSTFIELDS, body);
}

/* Method and body. */
static void set_method(lua_State *L, http__transfer *t, CURL *easy) {
  const char *method = push_text(L, REQUEST, "method");
  int upload = 0;
  luaL_checkstring(L, -1);
  get(L, REQUEST, "parts");
  lua_replace(L, TRANSFER + 1); /* the method stays alive in the request */
  if (lua_istable(L, -1)) {
    set_parts(L, t, easy);
    upload = 1;
  }
  get(L, REQUEST, "body");
  if (lua_isstring(L, -1)) {
    size_t len;
    const char *body = lua_tolstring(L, -1, &len);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, TRANSFER, BODY);
    set_body(L, easy, body, len);
    upload = 1;
  }
  else if (lua_toboolean(L, -1)) {
    set_stream(L, t, easy);
    upload = 1;
  }
  else if (!upload && (strcmp(method, "POST") == 0 ||
                       strcmp(method, "PUT") == 0 ||
                       strcmp(method, "PATCH") == 0))
    set_body(L, easy, "", 0); /* says that there is none */
  if (strcmp(method, "HEAD") == 0) {
    if (upload)
      luaL_error(L, "a HEAD request has no body");
    SET(CURLOPT_NOBODY, 1L);
  }
  else if (strcmp(method, "GET") != 0 || upload)
    SET(CURLOPT_CUSTOMREQUEST, method);
  lua_settop(L, TRANSFER);
}

/* TLS with the server, and with a proxy. `ca` and `ca_text` come to what the
   system trusts. (Debian's curl has a file and a folder: one of both stays.) */
static void set_tls(lua_State *L, CURL *easy) {
  int is_folder = flag(L, "ca_is_folder");
  const char *text;
  size_t len;
  if (!flag(L, "verify")) {
    SET(CURLOPT_SSL_VERIFYPEER, 0L);
    SET(CURLOPT_SSL_VERIFYHOST, 0L);
    SET(CURLOPT_PROXY_SSL_VERIFYPEER, 0L);
    SET(CURLOPT_PROXY_SSL_VERIFYHOST, 0L);
  }
  if (push_text(L, REQUEST, "ca") != NULL)
    http__check_fs(L);
  lua_pop(L, 1);
  set_text(L, easy, is_folder ? CURLOPT_CAPATH : CURLOPT_CAINFO, "ca");
  set_text(L, easy, is_folder ? CURLOPT_PROXY_CAPATH : CURLOPT_PROXY_CAINFO,
           "ca");
  get(L, REQUEST, "ca_text");
  if ((text = lua_tolstring(L, -1, &len)) != NULL) {
    struct curl_blob blob = {(void *)(uintptr_t)text, len, CURL_BLOB_COPY};
    SET(CURLOPT_CAINFO_BLOB, &blob);
    SET(CURLOPT_PROXY_CAINFO_BLOB, &blob);
  }
  lua_pop(L, 1);
}

static void set_connection(lua_State *L, http__multi *m, CURL *easy) {
  lua_Number timeout;
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
  SET(CURLOPT_NOSIGNAL, 1L);
  http__handle_set_sockets(L, m, easy);
  SET(CURLOPT_QUICK_EXIT, 1L); /* wait for no name to be resolved */
  SET(CURLOPT_TCP_KEEPALIVE, 1L);
  SET(CURLOPT_PROXY, ""); /* whatever the environment says, */
  SET(CURLOPT_NOPROXY, ""); /* also of exceptions */
  set_text(L, easy, CURLOPT_PROXY, "proxy");
  SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  get(L, REQUEST, "connect_timeout");
  timeout = luaL_optnumber(L, -1, HUGE_VAL); /* curl has one of its own, too */
  SET(CURLOPT_CONNECTTIMEOUT_MS,
      (long)(timeout > 1e6 ? 1e9 : timeout < 0.001 ? 1 : timeout * 1000));
  lua_pop(L, 1);
}

/* All that curl is told of the request. */
static void set_up(lua_State *L, http__transfer *t) {
  CURL *easy = t->easy;
  SET(CURLOPT_PRIVATE, t);
  SET(CURLOPT_ERRORBUFFER, t->message);
  set_text(L, easy, CURLOPT_URL, "url");
  SET(CURLOPT_COOKIEFILE, ""); /* with cookies, none from a file */
  set_text(L, easy, CURLOPT_COOKIE, "cookies");
  SET(CURLOPT_ACCEPT_ENCODING, ""); /* all that curl can decode */
  set_text(L, easy, CURLOPT_USERNAME, "username");
  set_text(L, easy, CURLOPT_PASSWORD, "password");
  set_connection(L, t->multi, easy);
  set_tls(L, easy);
  set_headers(L, t, easy);
  set_method(L, t, easy);
  SET(CURLOPT_PREREQFUNCTION, begin);
  SET(CURLOPT_PREREQDATA, t);
  SET(CURLOPT_HEADERFUNCTION, take_header);
  SET(CURLOPT_HEADERDATA, t);
  SET(CURLOPT_WRITEFUNCTION, take_body);
  SET(CURLOPT_WRITEDATA, t);
}

int http__transfer_start(lua_State *L) {
  http__multi *m = http__multi_check(L);
  http__transfer *t;
  http__check_net(L);
  luaL_checktype(L, REQUEST, LUA_TTABLE);
  lua_settop(L, REQUEST);
  t = (http__transfer *)lua_newuserdatauv(L, sizeof *t, USER_VALUES);
  memset(t, 0, sizeof *t);
  t->upload_left = -1;
  luaL_setmetatable(L, TRANSFER_TYPE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, TRANSFER, MULTI);
  get(L, REQUEST, "method");
  get(L, REQUEST, "url");
  t->reader.what = t->writer.what = lua_pushfstring(
      L, "%s %s", luaL_checkstring(L, -2), luaL_checkstring(L, -1));
  lua_setiuservalue(L, TRANSFER, WHAT);
  lua_settop(L, TRANSFER);
  if (m->curl == NULL)
    return luaL_error(L, "the session is closed");
  t->easy = http__handle_take(m);
  if (t->easy == NULL)
    return luaL_error(L, "not enough memory for libcurl");
  t->multi = m;
  t->next = m->transfers;
  if (t->next != NULL)
    t->next->previous = t;
  m->transfers = t;
  set_up(L, t);
  t->activity = uv_hrtime();
  if (curl_multi_add_handle(m->curl, t->easy) != CURLM_OK)
    return luaL_error(L, "not enough memory for libcurl");
  return 1;
}

/* ====================================================== } */

/* {======================================================
** The end
** ======================================================= */

/* Takes it from curl. */
static void detach(http__transfer *t) {
  http__multi *m = t->multi;
  if (t->previous != NULL)
    t->previous->next = t->next;
  else
    m->transfers = t->next;
  if (t->next != NULL)
    t->next->previous = t->previous;
  t->multi = NULL;
  t->done = 1;
  /* curl 7.88 would leak what it keeps of a paused HTTP/2 stream */
  if (t->paused)
    (void)curl_easy_pause(t->easy, CURLPAUSE_CONT);
  /* ends the connection when the transfer is not through */
  (void)curl_multi_remove_handle(m->curl, t->easy);
  curl_mime_free(t->parts);
  /* a handle remembers errors of the system, and, beyond a reset, the Host
     whose cookies it sends */
  if (t->failure.kind == NULL && !t->names_host)
    http__handle_give(m, t->easy);
  else
    curl_easy_cleanup(t->easy);
  curl_slist_free_all(t->headers);
  http__buffer_free(&t->upload);
  t->parts = NULL;
  t->easy = NULL;
  t->headers = NULL;
  neap_wake(&t->reader);
  neap_wake(&t->writer);
}

void http__transfer_finish(http__transfer *t, CURLcode code) {
  http__failure_of(t, code);
  detach(t);
}

void http__transfer_end(http__transfer *t, const char *kind, const char *code,
                        const char *message) {
  if (t->multi == NULL)
    return;
  t->failure.kind = kind;
  t->failure.code = code;
  (void)snprintf(t->message, sizeof t->message, "%s", message);
  detach(t);
}

void http__transfer_go_on(http__transfer *t) {
  CURLcode code;
  if (t->multi == NULL)
    return;
  code = curl_easy_pause(t->easy, (t->paused ? CURLPAUSE_RECV : 0) |
                                      (t->starved ? CURLPAUSE_SEND : 0));
  if (code != CURLE_OK) /* what it kept is lost */
    http__transfer_finish(t, code);
}

http__transfer *http__transfer_check(lua_State *L) {
  return (http__transfer *)luaL_checkudata(L, 1, TRANSFER_TYPE);
}

/* Lua: transfer:close(); __close; __gc. What is not read is lost. */
static int lua_close_transfer(lua_State *L) {
  http__transfer *t = http__transfer_check(L);
  http__transfer_end(t, "closed", NULL, "the response is closed");
  http__buffer_free(&t->head);
  http__buffer_free(&t->body);
  return 0;
}

/* Lua: transfer:finished() -> whether nothing more will come from curl */
static int finished(lua_State *L) {
  lua_pushboolean(L, http__transfer_check(L)->done);
  return 1;
}

/* Lua: transfer:is_waiting() -> whether a task is inside head or receive */
static int is_waiting(lua_State *L) {
  lua_pushboolean(L, http__transfer_check(L)->reader.pending);
  return 1;
}

void http__transfer_init(lua_State *L) {
  static const luaL_Reg methods[] = {{"close", lua_close_transfer},
                                     {"finished", finished},
                                     {"head", http__head},
                                     {"is_waiting", is_waiting},
                                     {"receive", http__receive},
                                     {"send", http__send},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__close", lua_close_transfer},
                                         {"__gc", lua_close_transfer},
                                         {NULL, NULL}};
  http__class_new(L, TRANSFER_TYPE, methods, metamethods);
}

/* ====================================================== } */
