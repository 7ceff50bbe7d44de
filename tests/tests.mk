# The test programs.  tests/unit and tests/core: one CUnit program a file.  tests/preload: one plain
# program a file, built twice, the second time with the fortified and 64-bit names of libc.

TEST_LIB_OBJ := $(patsubst %.c,$(B)/o/%.o,$(filter-out tests/lib/fault_proxy.c,$(wildcard tests/lib/*.c)))
TEST_LIB     := $(B)/libtest.a
CUNIT_TESTS  := $(patsubst tests/%.c,$(B)/t/%,$(wildcard tests/unit/test_*.c tests/core/test_*.c))
PRELOAD_SRC  := $(wildcard tests/preload/*.c)
PRELOAD_BIN  := $(patsubst tests/%.c,$(B)/t/%,$(PRELOAD_SRC))
FAULT_PROXY  := $(B)/t/fault_proxy
TESTS        := $(CUNIT_TESTS) $(PRELOAD_BIN) $(addsuffix .lfs,$(PRELOAD_BIN)) $(FAULT_PROXY)

$(TEST_LIB): $(TEST_LIB_OBJ)
	rm -f $@ && ar rcs $@ $^

$(B)/t/unit/%: $(B)/o/tests/unit/%.o $(TEST_LIB) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(OWN) $(CFLAGS) $(LDFLAGS) -o $@ $< $(TEST_LIB) $(LIB) -lcunit $(LIBS)

$(B)/t/core/%: $(B)/o/tests/core/%.o $(TEST_LIB) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(OWN) $(CFLAGS) $(LDFLAGS) -o $@ $< $(TEST_LIB) $(LIB) -lcunit $(LIBS)

$(FAULT_PROXY): $(B)/o/tests/lib/fault_proxy.o $(B)/o/tests/lib/proxy_run.o
	@mkdir -p $(@D)
	$(CC) $(OWN) $(CFLAGS) $(LDFLAGS) -o $@ $^

# These stand for programs that know nothing of the project: no include path, no sanitizer.
PROGRAM = -std=gnu11 -D_GNU_SOURCE $(WARN) -g -MMD -MP -MF $@.d

$(B)/t/preload/%: tests/preload/%.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(PROGRAM) -O1 -U_FORTIFY_SOURCE -o $@ $< -lpthread

$(B)/t/preload/%.lfs: tests/preload/%.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(PROGRAM) -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -D_FILE_OFFSET_BITS=64 -o $@ $< -lpthread
