#![no_std]
#![no_main]
//! Answers every message.

use corewarden_firmware::echo::Image;

corewarden_firmware::image!(Image::PLAIN);
