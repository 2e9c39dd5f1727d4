// For the examples in the docs, which include this expression: a stack at 10.0.0.1 whose device receives every packet
// that it sends, and the future that runs both.
{
    use embassy_net_driver_channel as channel;

    let state = Box::leak(Box::new(channel::State::<1_514, 8, 8>::new()));
    let (wire, device) = channel::new(state, embassy_net::driver::HardwareAddress::Ip);
    let config = embassy_net::Config::ipv4_static(embassy_net::StaticConfigV4 {
        address: embassy_net::Ipv4Cidr::new([10, 0, 0, 1].into(), 24),
        gateway: None,
        dns_servers: Default::default(),
    });
    let resources = Box::leak(Box::new(embassy_net::StackResources::<4>::new()));
    let (stack, mut network) = embassy_net::new(device, config, resources, 1);
    let run = async move {
        let (link, mut receive, mut transmit) = wire.split();
        link.set_link_state(embassy_net::driver::LinkState::Up);
        let carry = async {
            loop {
                let packet = transmit.tx_buf().await.to_vec();
                transmit.tx_done();
                receive.rx_buf().await[..packet.len()].copy_from_slice(&packet);
                receive.rx_done(packet.len());
            }
        };
        embassy_futures::join::join(network.run(), carry).await;
    };
    (stack, run)
}
