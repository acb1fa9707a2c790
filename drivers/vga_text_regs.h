/* SPDX-License-Identifier: MIT */
/* VGA text mode 3. Source: IBM VGA technical reference, CRT controller. */
#ifndef DRIVERS_VGA_TEXT_REGS_H
#define DRIVERS_VGA_TEXT_REGS_H

#define VGA_COLUMNS    80u
#define VGA_ROWS       25u
#define VGA_CRTC_INDEX 0x3d4u
#define VGA_CRTC_DATA  0x3d5u
/* A cell is a character and an attribute: background in bits 6:4, foreground in 3:0. */
#define VGA_ATTRIBUTE_SHIFT 8
#define VGA_GREY_ON_BLACK   0x07u

enum { CRTC_CURSOR_HIGH = 0x0e, CRTC_CURSOR_LOW = 0x0f };

#endif
