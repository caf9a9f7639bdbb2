/*
** editor.h - what the parts of the line editor share: the terminal, of
** which a process has one.
*/
#ifndef NEAP_REPL_EDITOR_H
#define NEAP_REPL_EDITOR_H

#include <histedit.h>
#include <locale.h>
#include <stddef.h>
#include <stdio.h>
#include <wchar.h>

#include <lauxlib.h>
#include <lua.h>

typedef struct neap__editor {
  EditLine *el;       /* NULL: closed */
  HistoryW *history;
  locale_t locale;    /* UTF-8, in which libedit is called; the program's own
                         is a script's business */
  int in;             /* descriptor that keys are read from */
  FILE *out;          /* the terminal, as libedit writes to it */
  lua_State *L;       /* during a read: the caller's, the read's arguments */
  wchar_t *prompt;
  int editing;        /* a line is being edited, */
  int hidden;         /* and is not on the screen, for output */
  const char *ending; /* why the read ended without a line; NULL: it has one */
  char *pasted;       /* several lines that were pasted; NULL: none */
  size_t pasted_size;
  ptrdiff_t at;       /* before the last key: where the cursor was, */
  ptrdiff_t length;   /* and how long the line */
  int begun;          /* the line has what it is to begin with */
  int loaded;         /* the history was asked for */
  unsigned char bytes[8]; /* of a character that is not complete, or read ahead
                             of a paste */
  int nbytes;
} neap__editor;

extern neap__editor neap__editor_here;

/* The next byte; -1: none, with `ending`. One at a time: what follows may be
   for a script to read. */
int neap__editor_next_byte(void);
/* Puts a text where the cursor is. */
void neap__editor_insert(const char *text, size_t size);

/* {======================================================
** screen.c
** ======================================================= */

/* Takes the line off the screen: where its prompt began, output can go.
   Puts it back. */
void neap__screen_hide(void);
void neap__screen_show(void);
void neap__screen_size(int *rows, int *columns);
/* The screen has another size. */
void neap__screen_resize(void);
/* Leaves the line on the screen, and begins a new one below it. */
void neap__screen_leave_line(void);
/* libedit is about to change the line: it is to know where its cursor is. */
void neap__screen_find_place(void);

/* ====================================================== } */

/* {======================================================
** paste.c
** ======================================================= */

/* The key that the terminal sends before what is pasted. */
unsigned char neap__paste(EditLine *el, wint_t key);
/* Pushes the lines that were pasted into one, and the rest of the last one. */
void neap__paste_push(lua_State *L);

/* ====================================================== } */

/* {======================================================
** above.c
** ======================================================= */

/* From now on what scripts write to stdout and stderr goes above the line
   that is edited. Returns 0, or -1: no memory. */
int neap__above_open(lua_State *L);
void neap__above_close(void);
/* What scripts have written is on the screen. */
void neap__above_flush(void);
/* The line to be edited begins a line of the screen. */
void neap__above_begin_line(void);
/* Begins a new line where output has left one unfinished; and goes back to
   it, from the line below. */
void neap__above_end_line(void);
void neap__above_resume_line(void);

/* ====================================================== } */

/* {======================================================
** text.c: UTF-8 and wide characters. A byte that is not UTF-8 stands as
** U+DC00 + byte, so that nothing of what is typed is lost.
** ======================================================= */

/* The character that the bytes begin with: returns how many are its own; 0:
   more are needed. */
int neap__text_decode(const unsigned char *bytes, size_t size, wchar_t *c);
/* The whole text, to be freed; NULL: no memory. */
wchar_t *neap__text_wide(const char *text, size_t size);
/* Stands around what takes no room on the screen; no text has it. */
#define NEAP__TEXT_MARK 0xDC00
/* The same of a prompt, with marks around its escape sequences. */
wchar_t *neap__text_prompt(const char *text, size_t size);
/* Pushes characters as a string. */
void neap__text_push(lua_State *L, const wchar_t *text, size_t size);
/* How many columns a character takes at this one, as libedit shows it; a
   newline none. */
int neap__text_width(wchar_t c, int column);

/* ====================================================== } */

/* {======================================================
** history.c
** ======================================================= */

/* Lua: history_load(path) -> list of entries, oldest first */
int neap__history_load(lua_State *L);
/* Lua: history_append(path, entry) */
int neap__history_append(lua_State *L);

/* ====================================================== } */

#endif
