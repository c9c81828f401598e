# A program of tests/ that is built like an application: APP, its name, and PROGRAM, its folder, come before.
FILES := $(notdir $(wildcard $(PROGRAM)/*.c))
CPPFLAGS := -D_GNU_SOURCE -I$(PROGRAM) -idirafter $(BUILD)/kinclude
CFLAGS := -g -Wno-unused-parameter
include apps/app.mk
DIR := $(PROGRAM)
