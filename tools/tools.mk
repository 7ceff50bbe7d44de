# The command jfspre: every tools/*.c, on top of the core library.

TOOL_OBJ := $(patsubst %.c,$(B)/o/%.o,$(wildcard tools/*.c))
ALL      += $(B)/jfspre

$(B)/jfspre: $(TOOL_OBJ) $(LIB)
	$(CC) $(OWN) $(CFLAGS) $(LDFLAGS) -o $@ $(TOOL_OBJ) $(LIB) $(LIBS)
