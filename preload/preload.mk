# Builds libjfspre.so: the wrappers, and core and hiredis with their libc calls renamed so that they
# pass by our own exports.  Included by the top Makefile.

PRE_SO    := $(B)/libjfspre.so
PRE_SRC   := $(wildcard preload/*.c)
PRE_OBJ   := $(patsubst preload/%.c,$(B)/o/preload/%.o,$(PRE_SRC)) $(B)/o/preload/stubs.o
PRE_GEN   := $(GEN)/exports.map $(GEN)/aliases.opt $(GEN)/redefine.txt $(GEN)/symbols.txt
HIREDIS_A ?= $(shell $(CC) -print-file-name=libhiredis.a)

# No fortify (its macros rename our definitions), no LTO (asm refers to symbols by name), tail calls
# also at -O0 (dlopen must see its caller).  Calls of a name we export must not be inlined away.
PRE_FLAGS := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=0 -fno-lto -ftls-model=initial-exec \
             -fno-builtin -foptimize-sibling-calls -fno-delete-null-pointer-checks
PRE_LINK  := -shared -Wl,-z,now -Wl,-z,initfirst -Wl,-z,noexecstack $(if $(SAN),-fsanitize=$(SAN),-Wl,-z,defs) \
             -Wl,--exclude-libs,ALL -Wl,--version-script=$(GEN)/exports.map \
             -Wl,@$(GEN)/aliases.opt -Wl,--hash-style=gnu -Wl,-soname,libjfspre.so

# Memory of core and hiredis comes from preload/heap.c; a sanitizer wants to see it itself.
PRE_HEAP  := $(if $(SAN),,$(foreach f,malloc calloc realloc free strdup strndup qsort,\
             --redefine-sym $f=jfspre_heap_$f))

ALL       += $(PRE_SO)

$(PRE_GEN) &: preload/symbols.def tools/gen_symbols.sh
	tools/gen_symbols.sh preload/symbols.def $(GEN)

$(GEN)/syscalls.inc: preload/syscalls.def tools/gen_syscalls.sh $(GEN)/symbols.txt
	tools/gen_syscalls.sh preload/syscalls.def $(GEN)/symbols.txt $@

$(B)/o/preload/wrap_syscall.o: $(GEN)/syscalls.inc

$(B)/o/preload/%.o: preload/%.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(OWN) $(CPPFLAGS) $(CFLAGS) $(PRE_FLAGS) -c -o $@ $<

$(B)/o/preload/%.o: preload/%.S
	@mkdir -p $(@D)
	$(CC) -I. -MMD -MP -c -o $@ $<

$(B)/preload/core.a: $(LIB) $(GEN)/redefine.txt
	@mkdir -p $(@D)
	objcopy --redefine-syms=$(GEN)/redefine.txt $(PRE_HEAP) $< $@

$(B)/preload/hiredis.a: $(HIREDIS_A) $(GEN)/redefine.txt
	@mkdir -p $(@D)
	objcopy --redefine-syms=$(GEN)/redefine.txt $(PRE_HEAP) $< $@

$(PRE_SO): $(PRE_OBJ) $(B)/preload/core.a $(B)/preload/hiredis.a $(GEN)/exports.map $(GEN)/aliases.opt
	$(CC) $(CFLAGS) $(LDFLAGS) $(PRE_LINK) -o $@ $(PRE_OBJ) $(B)/preload/core.a \
	    $(B)/preload/hiredis.a -lpthread -ldl
