mod breakouts;
mod connections;
mod screens;
