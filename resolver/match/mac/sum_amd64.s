#include "textflag.h"

// SHA-256 by the processor's own instructions, twice for an HMAC, without leaving the registers in between. What the two states are is in States.
//
//	X0       round constants and words, as SHA256RNDS2 wants them
//	X1 X2    A B E F and C D G H
//	X3..X6   sixteen words of the message, then those that follow
//	X7       room
//	X8       the order of bytes in a message
//	X9 X10   X1 and X2 before the block

// ROUNDS does four rounds with the words in M.
#define ROUNDS(M, AT) \
	MOVOU       (16*AT)(AX), X0 \
	PADDL       M, X0           \
	SHA256RNDS2 X0, X1, X2      \
	PSHUFD      $0x0e, X0, X0   \
	SHA256RNDS2 X0, X2, X1

// NEXT makes of the sixteen words before, oldest in A, the four that follow, in A.
#define NEXT(A, B, C, D) \
	SHA256MSG1 B, A     \
	MOVO       D, X7    \
	PALIGNR    $4, C, X7 \
	PADDL      X7, A    \
	SHA256MSG2 D, A

// WORDS puts A B C D into X3 and E F G H into X4.
#define WORDS \
	PSHUFD  $0x1b, X1, X3   \
	PSHUFD  $0xb1, X2, X4   \
	MOVO    X3, X7          \
	PBLENDW $0xf0, X4, X3   \
	PALIGNR $8, X7, X4

// func sum(out *[32]byte, s *States, msg *byte, blocks int)
TEXT ·sum(SB), NOSPLIT, $0-32
	MOVQ  out+0(FP), DI
	MOVQ  s+8(FP), DX
	MOVQ  msg+16(FP), SI
	MOVQ  blocks+24(FP), CX
	LEAQ  constants<>(SB), AX
	MOVOU order<>(SB), X8
	MOVOU 0(DX), X1
	MOVOU 16(DX), X2
	XORL  BX, BX

block:
	MOVOU  0(SI), X3
	MOVOU  16(SI), X4
	MOVOU  32(SI), X5
	MOVOU  48(SI), X6
	PSHUFB X8, X3
	PSHUFB X8, X4
	PSHUFB X8, X5
	PSHUFB X8, X6
	ADDQ   $64, SI

rounds:
	MOVO X1, X9
	MOVO X2, X10
	ROUNDS(X3, 0)
	ROUNDS(X4, 1)
	ROUNDS(X5, 2)
	ROUNDS(X6, 3)
	NEXT(X3, X4, X5, X6)
	ROUNDS(X3, 4)
	NEXT(X4, X5, X6, X3)
	ROUNDS(X4, 5)
	NEXT(X5, X6, X3, X4)
	ROUNDS(X5, 6)
	NEXT(X6, X3, X4, X5)
	ROUNDS(X6, 7)
	NEXT(X3, X4, X5, X6)
	ROUNDS(X3, 8)
	NEXT(X4, X5, X6, X3)
	ROUNDS(X4, 9)
	NEXT(X5, X6, X3, X4)
	ROUNDS(X5, 10)
	NEXT(X6, X3, X4, X5)
	ROUNDS(X6, 11)
	NEXT(X3, X4, X5, X6)
	ROUNDS(X3, 12)
	NEXT(X4, X5, X6, X3)
	ROUNDS(X4, 13)
	NEXT(X5, X6, X3, X4)
	ROUNDS(X5, 14)
	NEXT(X6, X3, X4, X5)
	ROUNDS(X6, 15)
	PADDL X9, X1
	PADDL X10, X2
	TESTL BX, BX
	JNZ   done
	DECQ  CX
	JNZ   block

	// The outer hash is of one block: the inner one, 0x80, and the length with the padded key, 768 bits.
	WORDS
	MOVOU outer<>+0(SB), X5
	MOVOU outer<>+16(SB), X6
	MOVOU 32(DX), X1
	MOVOU 48(DX), X2
	INCL  BX
	JMP   rounds

done:
	WORDS
	PSHUFB X8, X3
	PSHUFB X8, X4
	MOVOU  X3, 0(DI)
	MOVOU  X4, 16(DI)
	PXOR   X1, X1
	PXOR   X2, X2
	PXOR   X9, X9
	PXOR   X10, X10
	RET

// func cpuid(leaf uint32) (a, b, c, d uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-24
	MOVL leaf+0(FP), AX
	XORL CX, CX
	CPUID
	MOVL AX, a+8(FP)
	MOVL BX, b+12(FP)
	MOVL CX, c+16(FP)
	MOVL DX, d+20(FP)
	RET

DATA order<>+0(SB)/8, $0x0405060700010203
DATA order<>+8(SB)/8, $0x0c0d0e0f08090a0b
GLOBL order<>(SB), RODATA|NOPTR, $16

DATA outer<>+0(SB)/8, $0x0000000080000000
DATA outer<>+8(SB)/8, $0
DATA outer<>+16(SB)/8, $0
DATA outer<>+24(SB)/8, $0x0000030000000000
GLOBL outer<>(SB), RODATA|NOPTR, $32

// The constants of SHA-256 (FIPS 180-4 4.2.2), two in a line.
DATA constants<>+0(SB)/8, $0x71374491428a2f98
DATA constants<>+8(SB)/8, $0xe9b5dba5b5c0fbcf
DATA constants<>+16(SB)/8, $0x59f111f13956c25b
DATA constants<>+24(SB)/8, $0xab1c5ed5923f82a4
DATA constants<>+32(SB)/8, $0x12835b01d807aa98
DATA constants<>+40(SB)/8, $0x550c7dc3243185be
DATA constants<>+48(SB)/8, $0x80deb1fe72be5d74
DATA constants<>+56(SB)/8, $0xc19bf1749bdc06a7
DATA constants<>+64(SB)/8, $0xefbe4786e49b69c1
DATA constants<>+72(SB)/8, $0x240ca1cc0fc19dc6
DATA constants<>+80(SB)/8, $0x4a7484aa2de92c6f
DATA constants<>+88(SB)/8, $0x76f988da5cb0a9dc
DATA constants<>+96(SB)/8, $0xa831c66d983e5152
DATA constants<>+104(SB)/8, $0xbf597fc7b00327c8
DATA constants<>+112(SB)/8, $0xd5a79147c6e00bf3
DATA constants<>+120(SB)/8, $0x1429296706ca6351
DATA constants<>+128(SB)/8, $0x2e1b213827b70a85
DATA constants<>+136(SB)/8, $0x53380d134d2c6dfc
DATA constants<>+144(SB)/8, $0x766a0abb650a7354
DATA constants<>+152(SB)/8, $0x92722c8581c2c92e
DATA constants<>+160(SB)/8, $0xa81a664ba2bfe8a1
DATA constants<>+168(SB)/8, $0xc76c51a3c24b8b70
DATA constants<>+176(SB)/8, $0xd6990624d192e819
DATA constants<>+184(SB)/8, $0x106aa070f40e3585
DATA constants<>+192(SB)/8, $0x1e376c0819a4c116
DATA constants<>+200(SB)/8, $0x34b0bcb52748774c
DATA constants<>+208(SB)/8, $0x4ed8aa4a391c0cb3
DATA constants<>+216(SB)/8, $0x682e6ff35b9cca4f
DATA constants<>+224(SB)/8, $0x78a5636f748f82ee
DATA constants<>+232(SB)/8, $0x8cc7020884c87814
DATA constants<>+240(SB)/8, $0xa4506ceb90befffa
DATA constants<>+248(SB)/8, $0xc67178f2bef9a3f7
GLOBL constants<>(SB), RODATA|NOPTR, $256
