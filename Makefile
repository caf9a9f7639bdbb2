# Makefile - builds, runs, tests, checks and installs Neap.
#
# `make help` lists the targets and the variables. Everything generated
# goes below build/: the default build into build/ itself, every other
# flavour (DEVELOPER=, SAN=) into a folder of its own there.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDEXPANSION:

# {====================================================
# What a user may set
# =====================================================

PREFIX ?= /usr/local
SAN ?=
DEVELOPER ?=
WERROR ?= $(DEVELOPER)
PKG_CONFIG ?= pkg-config

comma := ,
FLAVOUR := $(if $(SAN),/san-$(subst $(comma),-,$(SAN)),$(if \
  $(DEVELOPER),/developer))
BUILD ?= build$(FLAVOUR)
B := $(BUILD)

# }====================================================

# {====================================================
# The version, the libraries and the flags
# =====================================================

VERSION := $(shell sed -n 's/^.define NEAP_VERSION "\(.*\)"/\1/p' \
  vm/include/neap.h)
ABI := $(firstword $(subst ., ,$(VERSION)))

# The name that pkg-config knows Lua by differs between distributions.
LUA_PC := $(shell for name in lua5.4 lua-5.4 lua54 lua; do \
  $(PKG_CONFIG) --exists "$$name >= 5.4 $$name < 5.5" 2>/dev/null && \
  echo $$name && break; done)
UV_PC := $(shell $(PKG_CONFIG) --exists libuv 2>/dev/null && echo libuv)

# These goals need neither library, or see to them first.
FREE_GOALS := deps run test help clean uninstall
ifneq ($(filter-out $(FREE_GOALS),$(or $(MAKECMDGOALS),all)),)
ifeq ($(and $(LUA_PC),$(UV_PC)),)
$(error Lua 5.4 or libuv is not installed with its headers. Run: make deps)
endif
endif

ifneq ($(and $(LUA_PC),$(UV_PC)),)
# -isystem: what a library's own header does is not ours to be warned of
PKG_CFLAGS := $(patsubst -I%,-isystem %,\
  $(shell $(PKG_CONFIG) --cflags $(LUA_PC) $(UV_PC)))
LUA_LIBS := $(shell $(PKG_CONFIG) --libs $(LUA_PC))
UV_LIBS := $(shell $(PKG_CONFIG) --libs $(UV_PC))
# The program holds all of Lua, for C modules to find, and calls it
# directly, as lua5.4 does. Without a static Lua it takes the shared one.
LUA_LIBDIR := $(shell $(PKG_CONFIG) --variable=libdir $(LUA_PC))
LUA_A := $(firstword $(wildcard \
  $(foreach name,$(LUA_PC) lua,$(LUA_LIBDIR)/lib$(name).a)))
endif
# The static one comes first, so that changes of ours do not move its code:
# where that lies decides over up to a tenth of the time of short loops.
WHOLE_LUA := -Wl,-E $(if $(LUA_A),-Wl$(comma)--whole-archive $(LUA_A) \
  -Wl$(comma)--no-whole-archive)
LUA_REST := $(if $(LUA_A),,$(LUA_LIBS)) -lm -ldl

CFLAGS ?= $(if $(SAN),-O1,-O2) -g
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes \
  -Wmissing-prototypes -Wconversion -Wno-sign-conversion
SAN_FLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all \
  -fno-omit-frame-pointer)
# Assertions are for those who look for bugs.
NDEBUG := $(if $(SAN)$(DEVELOPER),-UNDEBUG,-DNDEBUG)

ALL_CFLAGS = -std=gnu11 -fPIC -fvisibility=hidden $(NDEBUG) $(WARNINGS) \
  $(if $(WERROR),-Werror) $(CFLAGS) $(SAN_FLAGS) \
  -Ivm/include -Ivm/core $(CPPFLAGS) $(PKG_CFLAGS)
ALL_LDFLAGS = $(CFLAGS) $(SAN_FLAGS) -Wl,--as-needed $(LDFLAGS)
# A sanitizer's functions live in the program alone.
SHARED := -shared $(if $(SAN),,-Wl$(comma)-z$(comma)defs)

# }====================================================

# {====================================================
# The sources and the products
# =====================================================

object = $(patsubst %.c,$(B)/obj/%.o,$(1))
program = $(patsubst %.c,$(B)/%,$(wildcard $(1)))

# The library, with the Lua half of the core inside, and the program.
LUA_HALVES := $(patsubst vm/lua/%.lua,%,$(wildcard vm/lua/*.lua))
EMBEDDED := $(LUA_HALVES:%=$(B)/obj/embedded/%.o)
LIB_OBJECTS := $(EMBEDDED) \
  $(call object,$(wildcard vm/core/*.c vm/lua/*.c vm/embed/*.c))
CLI_OBJECTS := $(call object,$(wildcard vm/cli/*.c))
SO := libneap.so
LIBRARIES := $(B)/libneap.a $(B)/$(SO).$(VERSION) $(B)/$(SO).$(ABI) $(B)/$(SO)

# What a module needs besides Lua and libuv, as pkg-config calls it. A
# module whose library is not installed is skipped, with a word.
MODULE_PC_http := libcurl >= 7.87
MODULE_PC_repl := libedit
MODULE_PC_tls := openssl >= 3.0
SKIPPED := $(foreach name,$(patsubst stdlib/%/,%,$(wildcard stdlib/*/)),\
  $(if $(MODULE_PC_$(name)),$(shell \
    $(PKG_CONFIG) --exists '$(MODULE_PC_$(name))' || echo $(name))))
SOURCES := $(filter-out $(SKIPPED:%=stdlib/%/%),\
  $(wildcard stdlib/*/*.c stdlib/*/*.lua))

# A folder of stdlib/ is a module: its C becomes <module>.so, and its
# <module>.lua is copied; its other Lua files go to <module>/. The C of
# stdlib/module/ goes into each that uses it.
COMMON := $(B)/obj/stdlib/module.a
STDLIB_SO := $(patsubst stdlib/%/,$(B)/stdlib/%.so,$(filter-out \
  stdlib/module/,$(sort $(dir $(filter %.c,$(SOURCES))))))
STDLIB_LUA :=
define copy_module
STDLIB_LUA += $(B)/stdlib/$(strip $(2))
$(B)/stdlib/$(strip $(2)): $(1)
endef
lua_place = $(patsubst $(1)/$(1).lua,$(1).lua,$(2))
$(foreach file,$(filter %.lua,$(SOURCES)),$(eval $(call copy_module,$(file),\
  $(call lua_place,$(word 2,$(subst /, ,$(file))),$(file:stdlib/%=%)))))
# What the REPL's .help shows, from the modules' pages.
PAGES := $(filter-out stdlib/module/%,$(wildcard stdlib/*/README.md))
ENTRIES := $(if $(filter repl,$(SKIPPED)),,$(B)/stdlib/repl/entries.lua)
MODULES := $(STDLIB_SO) $(STDLIB_LUA) $(ENTRIES)

# Every C file of these folders is a program of its own.
CAPI := $(call program,tests/capi/*.c)
TORTURE := $(call program,tests/torture/*.c)
FUZZ := $(call program,tests/fuzz/*.c)
HOSTS := $(call program,scripts/embed/*.c)

all: $(B)/neap $(LIBRARIES) $(MODULES) $(B)/neap.pc \
  $(SKIPPED:%=skipped-%) ## build (the default)

# }====================================================

# {====================================================
# Building
# =====================================================

# V=1 shows the commands.
Q := $(if $(V),,@)
say = @printf '  %-4s %s\n' $(1) $(2)

# Stamps: files whose text changes when what they stand for does. The
# flags make every object old; the list of objects, what is linked.
STAMPS := $(B)/obj/flags $(B)/obj/objects $(B)/obj/prefix
$(B)/obj/flags: STAMP = $(CC) $(shell $(CC) --version 2>&1 | head -n 1) \
  | $(ALL_CFLAGS) | $(ALL_LDFLAGS) | $(WHOLE_LUA) $(LUA_REST) $(UV_LIBS)
$(B)/obj/objects: STAMP = $(LIB_OBJECTS) $(CLI_OBJECTS) \
  $(wildcard stdlib/*/*.c)
$(B)/obj/prefix: STAMP = $(PREFIX) $(LUA_PC) $(VERSION)
$(STAMPS): FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(STAMP))' >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(B)/obj/%.o: %.c $(B)/obj/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) $(MODULE_CFLAGS) -MMD -MP -c -o $@ $<

# vm/lua/NAME.lua in C: neap__lua_NAME, its bytes and one 0 behind them,
# and neap__lua_NAME_size, their number without the 0. Every VM compiles it:
# lines of comment, and what the others begin with, are left out.
$(B)/embedded/%.c: vm/lua/%.lua Makefile
	@mkdir -p $(@D)
	$(call say,LUA,$<)
	$(Q){ printf '/* Made from %s. */\n#include <stddef.h>\n' $<; \
	  printf 'extern const char neap__lua_%s[];\n' $*; \
	  printf 'extern const size_t neap__lua_%s_size;\n' $*; \
	  printf 'const char neap__lua_%s[] = {\n' $*; \
	  sed 's/^ *//; /^--/d; /^$$/d' $< | od -An -v -to1 | \
	    sed "s/ \([0-7][0-7]*\)/'\\\\\1',/g"; \
	  printf "'\\\\0'};\n"; \
	  printf 'const size_t neap__lua_%s_size =\n' $*; \
	  printf '  sizeof(neap__lua_%s) - 1;\n' $*; } >$@

# Where the library looks for modules, unless it is told.
$(B)/obj/vm/embed/vm.o: $(B)/obj/prefix
$(B)/obj/vm/embed/vm.o: ALL_CFLAGS += -DNEAP_MODULES='"$(PREFIX)/lib/neap"'

$(EMBEDDED): $(B)/obj/embedded/%.o: $(B)/embedded/%.c $(B)/obj/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The objects, not the archive: C modules need every neap_ function.
$(B)/neap: $(CLI_OBJECTS) $(LIB_OBJECTS) $(B)/obj/objects
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(WHOLE_LUA) $(filter %.o,$^) $(LUA_REST) \
	  $(UV_LIBS)

$(B)/libneap.a: $(LIB_OBJECTS) $(B)/obj/objects
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

$(B)/$(SO).$(VERSION): $(LIB_OBJECTS) $(B)/obj/objects
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $(SHARED) -Wl,-soname,$(SO).$(ABI) -o $@ \
	  $(filter %.o,$^) $(LUA_LIBS) $(UV_LIBS) -lm

$(B)/$(SO).$(ABI) $(B)/$(SO): $(B)/$(SO).$(VERSION)
	$(Q)ln -sf $(<F) $@

# Modules find Lua, libuv and Neap in the program that loads them. What
# their libraries ask for reaches the objects, too: make hands a target's
# variables on to what it is made from. They stay in memory (nodelete) when
# Lua unloads them, as callbacks of the loop may come even later.
define module_library
$(B)/stdlib/$(1).so: MODULE_CFLAGS := $(patsubst -I%,-isystem %,\
  $(shell $(PKG_CONFIG) --cflags '$(MODULE_PC_$(1))'))
$(B)/stdlib/$(1).so: MODULE_LIBS := $(shell \
  $(PKG_CONFIG) --libs '$(MODULE_PC_$(1))')
endef
$(foreach name,$(STDLIB_SO:$(B)/stdlib/%.so=%),$(if $(MODULE_PC_$(name)),\
  $(eval $(call module_library,$(name)))))

$(STDLIB_SO): $(B)/stdlib/%.so: $$(call object,$$(wildcard stdlib/$$*/*.c)) \
    $(COMMON) $(B)/obj/objects
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -shared -Wl,-z,nodelete -o $@ \
	  $(filter %.o %.a,$^) $(MODULE_LIBS) -lm

$(COMMON): $(call object,$(wildcard stdlib/module/*.c)) $(B)/obj/objects
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

$(SKIPPED:%=skipped-%): skipped-%: FORCE
	@echo '$*: skipped, $(MODULE_PC_$*) is not installed (make deps)'

$(STDLIB_LUA):
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(ENTRIES): stdlib/repl/entries.awk $(PAGES)
	@mkdir -p $(@D)
	$(call say,AWK,$@)
	$(Q)awk -f $^ >$@

$(B)/neap.pc: $(B)/obj/prefix Makefile
	$(Q)printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$${prefix}/lib' \
	  'includedir=$${prefix}/include' 'moduledir=$${libdir}/neap' '' \
	  'Name: Neap' 'Description: Lua with async and await, to embed' \
	  'Version: $(VERSION)' 'Requires: $(LUA_PC) libuv' \
	  'Libs: -L$${libdir} -lneap -lm' \
	  'Cflags: -I$${includedir}' >$@

$(CAPI) $(FUZZ): LINK_WITH = $(shell $(PKG_CONFIG) --libs cmocka)
# The library's malloc is theirs, too.
$(TORTURE): LINK_WITH = $(shell $(PKG_CONFIG) --libs cmocka) \
  -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
$(CAPI) $(TORTURE) $(FUZZ) $(HOSTS): $(B)/%: $(B)/obj/%.o $(B)/libneap.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LINK_WITH) $(WHOLE_LUA) $(LUA_REST) \
	  $(UV_LIBS)
$(B)/tests/capi/work: $(COMMON)

-include $(wildcard $(B)/obj/*/*.d $(B)/obj/*/*/*.d)

# }====================================================

# {====================================================
# Running, testing, checking
# =====================================================

again = @$(MAKE) --no-print-directory

deps: ## install the packages for building, tests and lint
	@.ci/deps build test lint

run: ## install what is missing, build, run a program of the tutorial
	@.ci/deps build
	$(again) all
	$(B)/neap scripts/tutorial/10-interleaving.lua

test: ## install what is missing, build, run the tests (or SPEC=name)
	@.ci/deps build test
	$(again) check

check: all $(CAPI) $(TORTURE) $(FUZZ) $(HOSTS) ## the tests, without installing anything
	@SAN='$(SAN)' NEAP_PATH=$(CURDIR)/$(B)/stdlib tests/support/check '$(B)' '$(SPEC)' $(TESTFLAGS)

torture: all $(TORTURE) ## every allocation fails in turn, all of them
	@for program in $(TORTURE); do $$program 1 || exit 1; done

# clang's fuzzer; what it finds is left in the build's folder.
FUZZTIME ?= 60
fuzz: ## scripts and calls that a fuzzer makes up, for FUZZTIME seconds each
	$(again) CC=clang SAN=fuzzer,address,undefined fuzz-run

fuzz-run: $(FUZZ) $(MODULES)
	@for target in $(notdir $(FUZZ)); do \
	  mkdir -p $(B)/corpus/$$target; \
	  $(B)/tests/fuzz/$$target -max_total_time=$(FUZZTIME) -timeout=10 \
	    -dict=tests/fuzz/words.dict -artifact_prefix=$(B)/$$target- \
	    $(B)/corpus/$$target tests/fuzz/$$target || exit 1; done

bench: all ## the benchmarks; peers that are missing are skipped
	@NEAP='$(B)/neap' CC='$(CC)' $(B)/neap tests/bench/run.lua $(BENCHFLAGS)

lint: ## luacheck, warnings of both compilers, headers, white space
	@MAKE='$(MAKE)' CC='$(CC)' CFLAGS='$(ALL_CFLAGS)' tests/support/lint

# }====================================================

# {====================================================
# Installing
# =====================================================

TO := $(DESTDIR)$(PREFIX)
INSTALLED = bin/neap include/neap.h lib/libneap.a lib/$(SO).$(VERSION) \
  lib/$(SO).$(ABI) lib/$(SO) lib/pkgconfig/neap.pc share/man/man1/neap.1 \
  share/man/man3/neap.h.3 \
  $(MODULES:$(B)/stdlib/%=lib/neap/%)

install: all ## install below PREFIX (/usr/local); DESTDIR goes before it
	mkdir -p $(addprefix $(TO)/,$(sort $(dir $(INSTALLED))))
	install -m 755 $(B)/neap $(TO)/bin/
	install -m 644 vm/include/neap.h $(TO)/include/
	install -m 644 $(B)/libneap.a $(B)/$(SO).$(VERSION) $(TO)/lib/
	ln -sf $(SO).$(VERSION) $(TO)/lib/$(SO).$(ABI)
	ln -sf $(SO).$(VERSION) $(TO)/lib/$(SO)
	install -m 644 $(B)/neap.pc $(TO)/lib/pkgconfig/
	install -m 644 vm/cli/neap.1 $(TO)/share/man/man1/
	install -m 644 vm/include/neap.h.3 $(TO)/share/man/man3/
	$(foreach file,$(MODULES:$(B)/stdlib/%=%),install -m 644 \
	  $(B)/stdlib/$(file) $(TO)/lib/neap/$(file) &&) true
	@if [ -z '$(DESTDIR)' ] && [ "$$(id -u)" = 0 ]; then ldconfig || true; fi

uninstall: ## remove what install put there
	rm -f $(addprefix $(TO)/,$(INSTALLED))
	-find $(TO)/lib/neap -depth -type d -empty -delete 2>/dev/null

clean: ## remove everything that was built
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 14
	@printf '\nVariables: CC=clang, CFLAGS, LDFLAGS, PREFIX, DESTDIR, BUILD=dir, V=1 (show the\n'
	@printf 'commands), WERROR=1 (warnings are errors), DEVELOPER=1 (that, and assertions;\n'
	@printf 'in build/developer), SAN=address,undefined or SAN=thread (in build/san-...),\n'
	@printf 'SPEC=name (files of tests), TESTFLAGS (for busted), BENCHFLAGS,\n'
	@printf 'FUZZTIME=seconds.\n'

.PHONY: all deps run test check torture fuzz fuzz-run bench lint install \
  uninstall clean help FORCE
FORCE:
