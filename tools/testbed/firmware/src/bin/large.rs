#![no_std]
#![no_main]
//! Answers every message, in buffers of the size that it asks for.

use corewarden_firmware::echo::Image;
use rpmsg::BufferSizes;

corewarden_firmware::image!(Image {
    asks_for: Some(BufferSizes {
        to_driver: 1040,
        to_device: 1008,
    }),
    ..Image::PLAIN
});
