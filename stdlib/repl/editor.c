/*
** editor.c - reads lines from the terminal, with libedit.
**
** libedit asks `next_char` for each character, in the middle of whatever it
** does (a search, half a key). That calls back to Lua: `wait`, which lets
** the program go on until there is a key. So the loop is never blocked.
**
** A signal ends a read only between two characters; libedit handles none.
*/
#define _GNU_SOURCE /* memrchr */

#include "editor.h"

#include "../module/module.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HISTORY 5000 /* entries in memory */
#define PASTE_ON "\033[?2004h"
#define PASTE_OFF "\033[?2004l"
#define PASTE_BEGIN "\033[200~"
#define NO_KEY '\036' /* Ctrl-^, which does nothing, and ends a search */

/* Stack of `read`: what the editor calls back needs these. */
enum { PROMPT = 1, BEFORE, INITIAL, CALLBACKS };

neap__editor neap__editor_here;
#define here neap__editor_here

/* {======================================================
** Keys
** ======================================================= */

/* Pushes the line up to the cursor, behind the lines before it. */
static void push_before_cursor(lua_State *L, int before) {
  const LineInfoW *line = el_wline(here.el);
  lua_pushvalue(L, before);
  neap__text_push(L, line->buffer, (size_t)(line->cursor - line->buffer));
  lua_concat(L, 2);
}

/* Lua, protected: callbacks, name of one, the lines before; calls it. */
static int protected_call(lua_State *L) {
  const char *name = lua_touserdata(L, 2);
  int narg = 0;
  (void)lua_getfield(L, 1, name);
  if (strcmp(name, "complete") == 0) {
    push_before_cursor(L, 3);
    narg = 1;
  }
  lua_call(L, narg, LUA_MULTRET);
  return lua_gettop(L) - 3;
}

/* Calls a callback, in the program's own locale. libedit stands below: an
   error is told, and there are no results. */
static int call_back(const char *name, int nres) {
  lua_State *L = here.L;
  locale_t ours = uselocale(LC_GLOBAL_LOCALE);
  int status;
  lua_pushcfunction(L, protected_call);
  lua_pushvalue(L, CALLBACKS);
  lua_pushlightuserdata(L, (void *)name);
  lua_pushvalue(L, BEFORE);
  status = lua_pcall(L, 3, nres, 0);
  if (status != LUA_OK) {
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1)
                                                      : "an error";
    fprintf(stderr, "%s: %s\n", name, text);
    lua_pop(L, 1);
  }
  (void)uselocale(ours);
  return status;
}

static void prepare_terminal(int raw) {
  fputs(raw ? PASTE_ON : PASTE_OFF, here.out);
  (void)fflush(here.out);
  (void)el_wset(here.el, EL_PREP_TERM, raw);
}

/* Ctrl-Z: the program stops here, and goes on when the shell lets it. Where
   there is none that could, the system does not stop it. */
static void suspend(void) {
  struct sigaction stop = {.sa_handler = SIG_DFL}, before;
  neap__screen_hide();
  prepare_terminal(0);
  (void)sigaction(SIGTSTP, &stop, &before); /* a valid signal: cannot fail */
  (void)raise(SIGTSTP);
  (void)sigaction(SIGTSTP, &before, NULL);
  prepare_terminal(1);
  neap__screen_resize();
  neap__screen_show();
}

/* Waits for a key: true; or false, with here.ending. */
static int wait_for_key(void) {
  lua_State *L = here.L;
  while (here.ending == NULL) {
    const char *what;
    int is_key;
    if (call_back("wait", 1) != LUA_OK) {
      here.ending = "end";
      return 0;
    }
    what = lua_tostring(L, -1);
    is_key = strcmp(what, "key") == 0;
    neap__screen_show();
    if (strcmp(what, "resize") == 0) {
      neap__screen_hide();
      neap__screen_resize();
      neap__screen_show();
    } else if (strcmp(what, "suspend") == 0) {
      suspend();
    } else if (strcmp(what, "interrupt") == 0) {
      here.ending = "interrupt";
    } else if (strcmp(what, "end") == 0) {
      here.ending = "end";
    }
    lua_pop(L, 1);
    if (is_key)
      return 1;
  }
  return 0;
}

int neap__editor_next_byte(void) {
  unsigned char byte;
  ssize_t n;
  do {
    if (!wait_for_key())
      return -1;
    n = read(here.in, &byte, 1);
  } while (n < 0 && (errno == EINTR || errno == EAGAIN));
  if (n == 1)
    return byte;
  here.ending = "end"; /* the terminal has gone */
  return -1;
}

void neap__editor_insert(const char *text, size_t size) {
  wchar_t *wide = neap__text_wide(text, size);
  if (wide != NULL)
    (void)el_winsertstr(here.el, wide);
  free(wide);
}

/* What is to be edited from the start. */
static void insert_initial(void) {
  size_t size;
  const char *text = lua_tolstring(here.L, INITIAL, &size);
  here.begun = 1;
  if (text == NULL)
    return;
  neap__screen_hide();
  neap__editor_insert(text, size);
  neap__screen_show();
}

static int has_input(void) {
  struct pollfd input = {here.in, POLLIN, 0};
  return poll(&input, 1, 0) == 1;
}

/* Takes a byte that was read; behind an ESC as many more as may begin a paste:
   before that, what libedit may be reading keys for comes to its end. */
static void take_byte(unsigned char byte) {
  static const char paste[] = PASTE_BEGIN;
  int n = 1;
  here.bytes[here.nbytes++] = byte;
  if (here.nbytes > 1 || byte != '\033')
    return;
  while (paste[n] != '\0' && has_input() && read(here.in, &byte, 1) == 1) {
    here.bytes[here.nbytes++] = byte;
    if (byte != (unsigned char)paste[n++])
      return;
  }
  if (paste[n] == '\0') {
    memmove(here.bytes + 1, here.bytes, (size_t)here.nbytes++);
    here.bytes[0] = NO_KEY;
  }
}

/* libedit: the next character. Returns 1, or -1: the read is over. */
static int next_char(EditLine *el, wchar_t *c) {
  int length = 0;
  (void)el;
  if (!here.begun)
    insert_initial();
  neap__screen_find_place();
  if (here.nbytes > 0) /* of a sequence that was broken off */
    length = neap__text_decode(here.bytes, (size_t)here.nbytes, c);
  while (length == 0) {
    int byte = neap__editor_next_byte();
    if (byte < 0)
      return -1;
    if (!here.loaded) { /* only who types needs the history */
      here.loaded = 1;
      (void)call_back("load", 0);
    }
    take_byte((unsigned char)byte);
    length = neap__text_decode(here.bytes, (size_t)here.nbytes, c);
  }
  here.nbytes -= length;
  memmove(here.bytes, here.bytes + length, (size_t)here.nbytes);
  return 1;
}

static int is_blank(const LineInfoW *line) {
  const wchar_t *c;
  for (c = line->buffer; c < line->cursor; c++) {
    if (*c != L' ' && *c != L'\t')
      return 0;
  }
  return 1;
}

/* The TAB key. */
static unsigned char complete(EditLine *el, wint_t key) {
  lua_State *L = here.L;
  const char *text;
  size_t size;
  (void)key;
  if (is_blank(el_wline(el))) {
    (void)el_winsertstr(el, L"  ");
    return CC_REFRESH;
  }
  /* how many characters go, what comes for them; what there is to choose */
  if (call_back("complete", 3) != LUA_OK) {
    neap__screen_show();
    return CC_ERROR;
  }
  text = lua_tolstring(L, -2, &size);
  if (text != NULL) {
    if (lua_tointeger(L, -3) > 0)
      el_wdeletestr(el, (int)lua_tointeger(L, -3));
    neap__editor_insert(text, size);
  }
  if (lua_isstring(L, -1)) {
    fputs(lua_tostring(L, -1), stdout);
    neap__screen_show();
  }
  lua_pop(L, 3);
  return text != NULL ? CC_REFRESH : CC_ERROR;
}

/* Ctrl-D. */
static unsigned char end_or_delete(EditLine *el, wint_t key) {
  const LineInfoW *line = el_wline(el);
  (void)key;
  if (line->lastchar == line->buffer)
    return CC_EOF;
  if (line->cursor == line->lastchar)
    return CC_ERROR;
  (void)el_cursor(el, 1);
  el_wdeletestr(el, 1);
  return CC_REFRESH;
}

/* ====================================================== } */

/* {======================================================
** Reading
** ======================================================= */

static wchar_t *give_prompt(EditLine *el) {
  (void)el;
  return here.prompt;
}

/* Lua: after a read; `count` characters, which may be none */
static int push_line(lua_State *L, const wchar_t *line, int count) {
  if (here.ending != NULL || (line == NULL && here.pasted == NULL)) {
    lua_pushnil(L);
    lua_pushstring(L, here.ending != NULL ? here.ending : "end");
  } else if (here.pasted != NULL) {
    neap__paste_push(L);
  } else {
    if (count > 0 && line[count - 1] == L'\n')
      count--;
    neap__text_push(L, line, (size_t)count);
    lua_pushnil(L);
  }
  return 2;
}

/* Lua: read(prompt, before, initial, callbacks) -> line, nil; or lines that
   were pasted, and what is to be edited next (a string); or nil, "interrupt"
   or "end" */
static int read_line(lua_State *L) {
  const wchar_t *line;
  locale_t before;
  size_t size;
  const char *prompt = luaL_checklstring(L, PROMPT, &size), *last;
  int count = 0;
  luaL_argcheck(L, here.el != NULL && !here.editing, PROMPT, "no terminal");
  lua_settop(L, CALLBACKS);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  free(here.prompt);
  free(here.pasted);
  here.pasted = NULL;
  last = memrchr(prompt, '\n', size);
  last = last != NULL ? last + 1 : prompt;
  here.prompt = neap__text_prompt(last, size - (size_t)(last - prompt));
  if (here.prompt == NULL)
    return luaL_error(L, "not enough memory");
  here.L = L;
  here.ending = NULL;
  here.nbytes = 0;
  here.begun = 0;
  here.at = here.length = 0;
  neap__above_flush();
  neap__above_begin_line();
  before = uselocale(here.locale);
  prepare_terminal(1);
  if (has_input()) /* typed ahead: the system has shown it, in our place */
    fputs("\r\033[K", here.out);
  (void)fwrite(prompt, 1, (size_t)(last - prompt), here.out);
  here.hidden = 0;
  here.editing = 1;
  line = el_wgets(here.el, &count);
  here.editing = 0;
  if (here.ending != NULL && count < 0) /* else a search has left it */
    neap__screen_leave_line();
  prepare_terminal(0);
  (void)uselocale(before);
  return push_line(L, line, count);
}

/* Lua: add(entry): to the history that the arrow keys go through */
static int add(lua_State *L) {
  size_t size;
  const char *entry = luaL_checklstring(L, 1, &size);
  wchar_t *wide = neap__text_wide(entry, size);
  HistEventW event;
  if (here.history != NULL && wide != NULL)
    (void)history_w(here.history, &event, H_ENTER, wide);
  free(wide);
  return 0;
}

/* Lua: columns() -> of the screen */
static int push_columns(lua_State *L) {
  int rows, columns;
  neap__screen_size(&rows, &columns);
  lua_pushinteger(L, columns);
  return 1;
}

/* ====================================================== } */

/* {======================================================
** The terminal, opened and closed
** ======================================================= */

static void bind_keys(void) {
  static const wchar_t *const keys[][2] = {
    {L"^I", L"neap-complete"}, {L"^D", L"neap-end"},
    {L"\033[200~", L"neap-paste"}, {L"\033[201~", L"ed-ignore"},
    {L"^^", L"ed-ignore"}, {L"^R", L"em-inc-search-prev"},
    {L"^W", L"ed-delete-prev-word"}, {L"\033[3~", L"ed-delete-next-char"},
    {L"\033[1~", L"ed-move-to-beg"}, {L"\033[4~", L"ed-move-to-end"},
    {L"\033[1;5C", L"em-next-word"}, {L"\033[1;5D", L"ed-prev-word"}
  };
  size_t i;
  EditLine *el = here.el;
  (void)el_wset(el, EL_ADDFN, L"neap-complete", L"Complete", complete);
  (void)el_wset(el, EL_ADDFN, L"neap-end", L"End or delete", end_or_delete);
  (void)el_wset(el, EL_ADDFN, L"neap-paste", L"Paste", neap__paste);
  for (i = 0; i < sizeof keys / sizeof keys[0]; i++)
    (void)el_wset(el, EL_BIND, keys[i][0], keys[i][1], NULL);
}

/* Reads ~/.editrc; whoever asks for the keys of vi there gets ours with
   them. */
static void read_settings(void) {
  const wchar_t *keys = L"";
  (void)el_source(here.el, NULL);
  if (el_wget(here.el, EL_EDITOR, &keys) != 0 || wcscmp(keys, L"vi") != 0)
    return;
  bind_keys();
  (void)el_wset(here.el, EL_BIND, L"-a", L"\033[200~", L"neap-paste", NULL);
}

/* A script has ended the program while a line was edited. */
static void restore(void) {
  if (here.el != NULL && here.editing) {
    here.editing = 0;
    neap__screen_leave_line();
    prepare_terminal(0);
  }
}

/* The terminal once more, to read from without ever blocking: Ctrl-C takes
   away what poll has seen. Others share standard input, which stays as it
   is. */
static int open_input(void) {
  char name[256];
  int fd = -1;
  if (ttyname_r(STDIN_FILENO, name, sizeof name) == 0)
    fd = open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  return fd >= 0 ? fd : STDIN_FILENO;
}

static int open_editor(void) {
  HistEventW event;
  here.locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
  if (here.locale == (locale_t)0)
    here.locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
  if (here.locale == (locale_t)0)
    return -1;
  (void)uselocale(here.locale);
  here.in = open_input();
  here.out = stdout;
  here.el = el_init("neap", stdin, stdout, stderr);
  here.history = history_winit();
  if (here.el == NULL || here.history == NULL)
    return -1;
  (void)history_w(here.history, &event, H_SETSIZE, HISTORY);
  (void)history_w(here.history, &event, H_SETUNIQUE, 1);
  (void)el_wset(here.el, EL_HIST, history_w, here.history);
  (void)el_wset(here.el, EL_PROMPT_ESC, give_prompt, NEAP__TEXT_MARK);
  (void)el_wset(here.el, EL_EDITOR, L"emacs");
  (void)el_wset(here.el, EL_GETCFN, next_char);
  bind_keys();
  neap__screen_resize();
  read_settings();
  return atexit(restore);
}

/* Lua: what `open` gives */
static int close_editor(lua_State *L) {
  (void)L;
  neap__above_close();
  if (here.el != NULL)
    el_end(here.el);
  if (here.history != NULL)
    history_wend(here.history);
  if (here.locale != (locale_t)0)
    freelocale(here.locale);
  if (here.in != STDIN_FILENO)
    (void)close(here.in);
  free(here.prompt);
  free(here.pasted);
  memset(&here, 0, sizeof here);
  return 0;
}

/* Lua: open() -> a function that closes it; nil: there is no terminal that
   lines can be edited on */
static int open_terminal(lua_State *L) {
  locale_t before = uselocale((locale_t)0);
  int status;
  if (here.el != NULL)
    return luaL_error(L, "the terminal is open");
  status = open_editor();
  (void)uselocale(before);
  if (status == 0)
    status = neap__above_open(L);
  if (status != 0)
    return close_editor(L);
  lua_pushcfunction(L, close_editor);
  return 1;
}

/* ====================================================== } */

MODULE_API int luaopen_repl_editor(lua_State *L);
int luaopen_repl_editor(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"open", open_terminal}, {"read", read_line}, {"add", add},
    {"columns", push_columns}, {"history_load", neap__history_load},
    {"history_append", neap__history_append},
    {NULL, NULL}
  };
  luaL_newlib(L, functions);
  return 1;
}
