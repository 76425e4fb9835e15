/* What a bare-metal program needs to run under qemu-arm: Linux' calls in place of a board's. */
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

int main(void);
void _start(void);
void _exit(int code);
int _write(int file, const char *text, int count);
void *_sbrk(ptrdiff_t count);

static int call(int number, int a, int b, int c)
{
    register int r7 __asm__("r7") = number;
    register int r0 __asm__("r0") = a;
    register int r1 __asm__("r1") = b;
    register int r2 __asm__("r2") = c;
    __asm__ volatile("svc #0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2) : "memory");
    return r0;
}

void _exit(int code)
{
    for (;;)
        call(1, code, 0, 0);
}

int _write(int file, const char *text, int count)
{
    return call(4, file, (int)text, count);
}

void *_sbrk(ptrdiff_t count)
{
    static char heap[16384];
    static ptrdiff_t used;
    void *const start = heap + used;
    used += count;
    return start;
}


void _start(void)
{
    const int code = main();
    fflush(stdout);
    _exit(code);
}
