/*
** url.c - URLs, read by curl, which is to use them; and texts in other
** character sets, converted by iconv.
*/
#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>

#include "curl.h"

/* {======================================================
** URLs
** ======================================================= */

/* Gives nil and why the text is refused. */
static int refuse(lua_State *L, const char *why) {
  lua_pushnil(L);
  lua_pushstring(L, why);
  return 2;
}

/* The fields of a URL in Lua; href comes last, without what it is not to
   have. */
static const struct {
  const char *name;
  CURLUPart part;
  unsigned int flags;
} fields[] = {
    {"scheme", CURLUPART_SCHEME, 0},
    {"host", CURLUPART_HOST, 0},
    {"port", CURLUPART_PORT, CURLU_DEFAULT_PORT},
    {"path", CURLUPART_PATH, 0},
    {"query", CURLUPART_QUERY, 0},
    {"fragment", CURLUPART_FRAGMENT, 0},
    {"user", CURLUPART_USER, CURLU_URLDECODE},
    {"password", CURLUPART_PASSWORD, CURLU_URLDECODE},
    {"href", CURLUPART_URL, 0},
};

enum { SCHEME, HOST, PORT, USER = 6, HREF = 8, FIELDS };

/* Their texts, curl's; NULL: there is none. */
typedef struct parts {
  char *texts[FIELDS];
} parts;

/* Whether curl could understand a text otherwise than others do. */
static int has_control(const char *s, size_t len) {
  size_t i;
  for (i = 0; i < len; i++) {
    if ((unsigned char)s[i] <= ' ' || s[i] == 0x7f || s[i] == '\\')
      return 1;
  }
  return 0;
}

/* Sets the host, which is the same in any case, in small letters. */
static void lower_host(CURLU *u) {
  char *host, *s;
  if (curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK)
    return;
  if (*host == '[') { /* an address: set anew, it would lose its zone */
    curl_free(host);
    return;
  }
  for (s = host; *s != '\0'; s++) {
    if (*s >= 'A' && *s <= 'Z')
      *s = (char)(*s + ('a' - 'A'));
  }
  (void)curl_url_set(u, CURLUPART_HOST, host, 0);
  curl_free(host);
}

/* Takes a text apart, which may be relative to `base`. Returns why not, or
   NULL. */
static const char *read_url(CURLU *u, const char *text, const char *base,
                            parts *p) {
  CURLUcode code = CURLUE_OK;
  const char *scheme;
  int i;
  if (base != NULL)
    code = curl_url_set(u, CURLUPART_URL, base, 0);
  if (code == CURLUE_OK) /* curl 7.88 drops the query before a fragment alone */
    code = base != NULL && *text == '#'
               ? curl_url_set(u, CURLUPART_FRAGMENT, text + 1, 0)
               : curl_url_set(u, CURLUPART_URL, text, 0);
  if (code == CURLUE_BAD_SCHEME ||
      (code != CURLUE_OK && base == NULL && strstr(text, "://") == NULL))
    return "it is not absolute: http:// or https:// is missing";
  if (code != CURLUE_OK && code != CURLUE_UNSUPPORTED_SCHEME)
    return curl_url_strerror(code);
  lower_host(u);
  for (i = 0; i < HREF; i++) {
    code = curl_url_get(u, fields[i].part, &p->texts[i], fields[i].flags);
    if (code == CURLUE_URLDECODE)
      return "its user or password contains a control character";
  }
  if (p->texts[USER] != NULL && strchr(p->texts[USER], ':') != NULL)
    return "its user contains a colon";
  scheme = p->texts[SCHEME];
  if (scheme == NULL ||
      (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
    return "its scheme is not http or https";
  (void)curl_url_set(u, CURLUPART_USER, NULL, 0); /* cannot fail */
  (void)curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
  (void)curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
  code = curl_url_get(u, CURLUPART_URL, &p->texts[HREF], 0);
  return code == CURLUE_OK ? NULL : curl_url_strerror(code);
}

/* Lua: makes the table of the parts, light userdata */
static int push_parts(lua_State *L) {
  const parts *p = (parts *)lua_touserdata(L, 1);
  int i;
  lua_createtable(L, 0, FIELDS + 1);
  for (i = 0; i < FIELDS; i++) {
    if (p->texts[i] == NULL)
      continue;
    if (i == PORT)
      lua_pushinteger(L, atoi(p->texts[i])); /* curl has checked it */
    else
      lua_pushstring(L, p->texts[i]);
    lua_setfield(L, -2, fields[i].name);
  }
  lua_pushfstring(L, "%s://%s:%s", p->texts[SCHEME], p->texts[HOST],
                  p->texts[PORT]);
  lua_setfield(L, -2, "origin");
  return 1;
}

/* Lua: url(text [, base]) -> {href=, scheme=, host=, port=, origin=, path=,
   query=, fragment=, user=, password=}, or nil, why. `text` may be relative
   to `base`. href is without user, password and fragment. */
int http__url(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  const char *base = luaL_optstring(L, 2, NULL), *why;
  parts p = {{NULL}};
  CURLU *u;
  int status = LUA_OK, i;
  if (has_control(text, len))
    return refuse(L, "it contains a space, a control character or a backslash");
  u = curl_url();
  if (u == NULL)
    return luaL_error(L, "not enough memory");
  why = read_url(u, text, base, &p);
  curl_url_cleanup(u);
  if (why == NULL) {
    lua_pushcfunction(L, push_parts); /* what curl made is freed in any case */
    lua_pushlightuserdata(L, &p);
    status = lua_pcall(L, 1, 1, 0);
  }
  for (i = 0; i < FIELDS; i++)
    curl_free(p.texts[i]);
  if (status != LUA_OK)
    return lua_error(L);
  return why == NULL ? 1 : refuse(L, why);
}

/* ====================================================== } */

/* {======================================================
** Character sets
** ======================================================= */

/* What converts; a userdata, so that it is closed in any case. */
typedef struct converter {
  iconv_t cd;
} converter;

#define CONVERTER_TYPE "http.curl.converter"
#define NONE ((iconv_t)-1)

/* Lua: __gc, __close */
static int close_converter(lua_State *L) {
  converter *c = (converter *)lua_touserdata(L, 1);
  if (c->cd != NONE)
    (void)iconv_close(c->cd); /* fails only for what is none */
  c->cd = NONE;
  return 0;
}

/* Lua: convert(text, charset) -> the text in UTF-8, or nil, why */
int http__convert(lua_State *L) {
  size_t left, size;
  char *in = (char *)(uintptr_t)luaL_checklstring(L, 1, &left);
  char **from = &in;
  const char *charset = luaL_checkstring(L, 2);
  converter *c = (converter *)lua_newuserdatauv(L, sizeof *c, 0);
  luaL_Buffer b;
  c->cd = NONE;
  luaL_setmetatable(L, CONVERTER_TYPE);
  lua_toclose(L, -1);
  if (strchr(charset, '/') == NULL) /* would be an option of iconv's */
    c->cd = iconv_open("UTF-8", charset);
  if (c->cd == NONE)
    return refuse(L, "unknown character set");
  luaL_buffinit(L, &b);
  for (;;) {
    char *out = luaL_prepbuffer(&b);
    size_t done;
    size = LUAL_BUFFERSIZE;
    done = iconv(c->cd, from, &left, &out, &size);
    luaL_addsize(&b, LUAL_BUFFERSIZE - size);
    if (done == (size_t)-1) {
      if (errno != E2BIG)
        return refuse(L, "the text is not in this character set");
    }
    else if (from == NULL)
      break;
    else
      from = NULL; /* some character sets hold the last character back */
  }
  luaL_pushresult(&b);
  return 1;
}

void http__url_init(lua_State *L) {
  static const luaL_Reg methods[] = {{"__close", close_converter},
                                     {"__gc", close_converter},
                                     {NULL, NULL}};
  luaL_newmetatable(L, CONVERTER_TYPE);
  luaL_setfuncs(L, methods, 0);
  lua_pop(L, 1);
}

/* ====================================================== } */
