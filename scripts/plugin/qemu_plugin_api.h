/* The part of QEMU's TCG plugin interface, version 1, that the plugins here call. Debian's QEMU exports it
 * but ships no header; the interface is described in QEMU's docs/devel/tcg-plugins.rst. */
#ifndef QEMU_PLUGIN_API_H
#define QEMU_PLUGIN_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLUGIN_EXPORT __attribute__((visibility("default")))
#define PLUGIN_VERSION 1

struct qemu_plugin_tb;     /* a translation block; valid during the translation callback */
struct qemu_plugin_insn;   /* one of its instructions; the same */
struct qemu_plugin_hwaddr; /* where a memory access went; valid during the memory callback */

enum qemu_plugin_op { PLUGIN_ADD_U64 };
enum qemu_plugin_regs { PLUGIN_NO_REGS };
enum qemu_plugin_rw { PLUGIN_MEM_READ = 1, PLUGIN_MEM_WRITE = 2 };

typedef void qemu_plugin_trans_fn(uint64_t id, struct qemu_plugin_tb *tb);
typedef void qemu_plugin_exec_fn(unsigned cpu, void *arg);
typedef void qemu_plugin_mem_fn(unsigned cpu, uint32_t access, uint64_t vaddr, void *arg);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, qemu_plugin_trans_fn *fn);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, enum qemu_plugin_op op,
                                              void *counter, uint64_t add);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn,
                                                enum qemu_plugin_op op, void *counter, uint64_t add);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, qemu_plugin_exec_fn *fn,
                                          enum qemu_plugin_regs regs, void *arg);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, qemu_plugin_exec_fn *fn,
                                            enum qemu_plugin_regs regs, void *arg);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, qemu_plugin_mem_fn *fn,
                                      enum qemu_plugin_regs regs, enum qemu_plugin_rw rw, void *arg);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(uint32_t access, uint64_t vaddr);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *where);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *where);

#endif
