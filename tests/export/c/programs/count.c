/* A plugin of qemu's user mode (its interface 1, declared here: the header is not packaged) that
   counts executed instructions and writes them to stderr. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct qemu_plugin_tb tb_t;
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*made)(uint64_t, tb_t *));
size_t qemu_plugin_tb_n_insns(const tb_t *tb);
void qemu_plugin_register_vcpu_tb_exec_inline(tb_t *tb, int add, void *counter, uint64_t by);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*end)(uint64_t, void *), void *data);
int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);

int qemu_plugin_version = 1;
static uint64_t executed;

static void made(uint64_t id, tb_t *tb)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &executed, qemu_plugin_tb_n_insns(tb));
}

static void end(uint64_t id, void *data)
{
    (void)id;
    (void)data;
    fprintf(stderr, "instructions %llu\n", (unsigned long long)executed);
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
    (void)info;
    (void)argc;
    (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, made);
    qemu_plugin_register_atexit_cb(id, end, NULL);
    return 0;
}
