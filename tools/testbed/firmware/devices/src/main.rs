#![no_std]
#![no_main]
//! Serves lines, an I2C bus and an SPI device that are not really there, and a terminal; uses those that Linux lends.

mod devices;
mod errand;
mod services;
mod terminal;
mod text;

use corewarden_firmware::echo::Image;

corewarden_firmware::image!(services::serve, Image::PLAIN);
